/** One way to turn a list of texts into bytes that no other list turns into. Refuses text that UTF-8 cannot carry. */

/**
 * Each part as UTF-8 behind its length in bytes (unsigned, 32 bits, big-endian): different lists never give the same bytes.
 * @throws RangeError when a part is not well-formed Unicode: lone surrogates would all become the same replacement character.
 */
export function frame(parts: readonly string[]): Buffer {
  let bound = 0
  for (const part of parts) {
    if (!part.isWellFormed()) throw new RangeError('A text to be authenticated is not well-formed Unicode.')
    // A UTF-16 unit is at most three bytes of UTF-8; one allocation is cheaper than measuring every part first.
    bound += 4 + 3 * part.length
  }
  const bytes = Buffer.allocUnsafe(bound)
  let end = 0
  for (const part of parts) {
    const written = bytes.write(part, end + 4, 'utf8')
    bytes.writeUInt32BE(written, end)
    end += 4 + written
  }
  return bytes.subarray(0, end)
}
