/** What a statement's policies are told of the caller, and the statement that tells them. Nothing of it outlives its transaction. */
import type { Prelude } from './group-query.ts'

/** What the policies of Row Level Security compare with; all of it ends with the transaction. */
export interface Settings {
  readonly tenantId: string
  readonly membershipId: string | null
  readonly role: string | null
  readonly providerOrgId: string | null
}

const setSettings = `select set_config('app.tenant_id',$1,true),set_config('app.membership_id',$2,true),\
set_config('app.role',$3,true),set_config('app.provider_org_id',$4,true)`

export function settingsPrelude(settings: Settings): Prelude {
  const { tenantId, membershipId, role, providerOrgId } = settings
  return { text: setSettings, values: [tenantId, membershipId ?? '', role ?? '', providerOrgId ?? ''] }
}
