/**
 * Things that come and go with every request, in no order. Refuses nothing, and leaves nothing of what has left behind.
 *
 * An array, and not a Set or a Map: each time one of those is full of what was deleted from it, its former table keeps a pointer to the new one
 * and to what was in it. Once such a table has grown old, the collections of the young find all later tables by it, and with them every request
 * that ever stood there. A WeakMap that lives long is no better: until a whole collection, what it holds of a request keeps that alive.
 * Decision 36 has what that took.
 */
export class Bag<Item> implements Iterable<Item> {
  readonly #places: { readonly item: Item; at: number }[] = []

  get size(): number {
    return this.#places.length
  }

  /** @returns takes it out again; once, however often it is called. */
  add(item: Item): () => void {
    const place = { item, at: this.#places.length }
    this.#places.push(place)
    return () => {
      if (this.#places[place.at] !== place) return
      const last = this.#places.pop()!
      if (last === place) return
      this.#places[place.at] = last
      last.at = place.at
    }
  }

  /** Those that are in it now; adding and taking out meanwhile changes nothing about it. */
  [Symbol.iterator](): Iterator<Item> {
    return this.#places.map(({ item }) => item).values()
  }
}
