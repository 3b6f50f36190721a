/** Every attack, by what it attacks. */
import { documents } from './documents.ts'
import { encryption } from './encryption.ts'
import { logout } from './logout.ts'
import { metadata } from './metadata.ts'
import { signatures } from './signatures.ts'
import { statements } from './statements.ts'
import { wrapping } from './wrapping.ts'

export const corpus = { wrapping, signatures, documents, statements, encryption, logout, metadata } as const
