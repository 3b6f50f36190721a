/**
 * Compares one password with one bcrypt hash on a thread of its own: bcryptjs is plain JavaScript, and a hash of cost 14 would hold up
 * every other request for more than a second.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

const { plain, stored } = workerData as { plain: string; stored: string }
parentPort!.postMessage(compareSync(plain, stored))
