/** The one part of pg that its published types leave out and that we use: how a value becomes text for the wire. */
declare module 'pg/lib/utils.js' {
  const utils: { prepareValue(value: unknown): string | Buffer | null }
  export default utils
}
