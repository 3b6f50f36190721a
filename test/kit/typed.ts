/** The generated documents of every plane, and operations that bring the types of their variables and answers along. */
import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { print, type DocumentNode } from 'graphql'
import * as clinician from '../../schema/generated/clinician.ts'
import * as console from '../../schema/generated/console.ts'
import * as consumer from '../../schema/generated/consumer.ts'
import * as courier from '../../schema/generated/courier.ts'
import * as seller from '../../schema/generated/seller.ts'

export const typed = { console, clinician, consumer, courier, seller } as const
export type TypedPlane = keyof typeof typed

/** An operation as text, or as a generated document. */
export type Operation<Data, Variables> = string | TypedDocumentNode<Data, Variables>

export const textOf = (operation: string | DocumentNode): string => (typeof operation === 'string' ? operation : print(operation))
