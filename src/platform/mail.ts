/** Outgoing mail. Until a notification module sends it, messages are spooled as files that only the operator can read. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../kernel/id.ts'

export interface Letter {
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mail {
  /** Resolves once the letter is safely spooled. @throws when it cannot be, so that the caller's command fails with it. */
  send(letter: Letter): Promise<void>
}

/** Spools each letter as `<directory>/<id>.eml` (RFC 5322), mode 0600, complete or absent. */
export function openMailSpool(directory: string, from: string): Mail {
  return {
    async send({ to, subject, text }) {
      // Loaded with the first letter: it takes a tenth of a second, and most processes write none.
      const { createTransport } = await import('nodemailer')
      const composer = createTransport({ streamTransport: true, buffer: true, newline: 'unix' })
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const { message } = await composer.sendMail({ from, to, subject, text, disableFileAccess: true, disableUrlAccess: true })
      const path = join(directory, `${newId()}.eml`)
      await writeFile(`${path}.part`, message as Buffer, { mode: 0o600, flag: 'wx', flush: true })
      await rename(`${path}.part`, path)
    },
  }
}
