/** How archives are cut into parts inside the seal: a kind, a length, the bytes. Refuses a part that would not fit into memory. */

/** H: header. D: data. E: end of a table. M: manifest. */
export type FrameKind = 'H' | 'D' | 'E' | 'M'

export interface Frame {
  readonly kind: string
  readonly payload: Buffer
}

const headBytes = 5
/** The largest part written or read, in bytes: a header of very many tables fits, and a forged length does not fill the memory. */
export const maxFrameBytes = 4 * 1024 * 1024

/** One frame: its kind, its length, its bytes. @throws when it is larger than a reader takes. */
export function frame(kind: FrameKind, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  if (payload.length > maxFrameBytes) throw new Error(`A part of ${payload.length} bytes does not fit into an archive.`)
  const head = Buffer.alloc(headBytes)
  head.write(kind, 0, 'latin1')
  head.writeUInt32BE(payload.length, 1)
  return Buffer.concat([head, payload])
}

/** Data of any length as frames. */
export function* dataFrames(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += maxFrameBytes) yield frame('D', data.subarray(at, at + maxFrameBytes))
}

/** The frames of an archive. @throws when it ends inside one, or one claims more than {@link maxFrameBytes}. */
export async function* frames(source: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let held: Buffer = Buffer.alloc(0)
  for await (const part of source) {
    held = held.length === 0 ? part : Buffer.concat([held, part])
    while (held.length >= headBytes) {
      const length = held.readUInt32BE(1)
      if (length > maxFrameBytes) throw new Error('A part of the archive claims more bytes than a part can have.')
      if (held.length < headBytes + length) break
      yield { kind: held.toString('latin1', 0, 1), payload: held.subarray(headBytes, headBytes + length) }
      held = held.subarray(headBytes + length)
    }
  }
  if (held.length > 0) throw new Error('The archive ends in the middle.')
}
