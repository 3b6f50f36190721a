/** TXT records, for the proof of a domain. A name without any has none; a resolver that fails, or takes its time, proves nothing either. */
import { Resolver } from 'node:dns/promises'

/** Well below the time for which a command may stay open: the proof of a domain is one. */
const mostMs = 6_000
const mostRecords = 50
const mostCharacters = 1_000

/** The texts of a name's records, each joined of its parts. @param servers the machine's own unless told. */
export async function txtRecords(name: string, servers: readonly string[] | null = null, limitMs = mostMs): Promise<readonly string[]> {
  const resolver = new Resolver()
  if (servers !== null) resolver.setServers(servers)
  const timer = setTimeout(() => resolver.cancel(), limitMs)
  try {
    const records = await resolver.resolveTxt(name)
    return records.slice(0, mostRecords).map((parts) => parts.join('').slice(0, mostCharacters))
  } catch {
    return []
  } finally {
    clearTimeout(timer)
  }
}
