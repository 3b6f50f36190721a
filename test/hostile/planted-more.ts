/** Rows of the modules around care, past their contracts: a directory, an identity provider, an emergency and its review, a hold. */
import { newId } from '../../src/kernel/id.ts'
import type { TestHouse, TestTenant } from '../kit/house.ts'

/** Two of each, so that a cursor has something behind it. */
export async function plantMore({ at }: TestHouse, tenant: TestTenant, recipientId: string): Promise<void> {
  const seller = newId()
  await at.owner("insert into care.party (tenant_id, id, kind, phi, membership_id) values ($1, $2, 'ORG', 'v1|planted', $3)", [
    tenant.id, seller, tenant.member.provider_manager.membershipId,
  ])
  await at.owner(
    `insert into care.consent (tenant_id, id, recipient_id, grantee_id, purpose, field_set) values ($1, $2, $3, $4, 'OPERATIONS', '{phone}')`,
    [tenant.id, newId(), recipientId, seller],
  )
  for (const nth of [1, 2]) {
    await at.owner(
      `insert into care.disclosure_grant (tenant_id, id, recipient_id, membership_id, fields, expires_at)
       values ($1, $2, $3, $4, '{phone}', now() + interval '1 day')`,
      [tenant.id, newId(), recipientId, tenant.member.provider_manager.membershipId],
    )
    const [connection, token, user] = [newId(), newId(), newId()]
    await at.owner('insert into scim.connection (tenant_id, id, name) values ($1, $2, $3)', [tenant.id, connection, `Directory ${nth}`])
    await at.owner('insert into scim.token (tenant_id, id, connection_id, name, hash) values ($1, $2, $3, $4, $5)', [
      tenant.id, token, connection, 'planted', newId(),
    ])
    await at.owner(
      `insert into scim."user" (tenant_id, id, connection_id, user_name, user_name_key, active, attributes, search)
       values ($1, $2, $3, $4, $4, true, '{"userName":"planted"}', '{"userName":"planted"}')`,
      [tenant.id, user, connection, `planted${nth}`],
    )
    await at.owner(
      `insert into scim.exchange (tenant_id, id, connection_id, token_id, request_id, method, path, status, duration_ms, at)
       values ($1, $2, $3, $4, 'planted', 'GET', '/Users', 200, 1, now())`,
      [tenant.id, newId(), connection, token],
    )
    await at.owner(
      `insert into identity.directory_link (tenant_id, connection_id, membership_id, source, origin)
       select tenant_id, $2, id, 'SCIM', 'LINKED' from identity.membership where tenant_id = $1 and role = 'caregiver' limit 1`,
      [tenant.id, connection],
    )
    await at.owner("insert into saml.connection (tenant_id, id, name, state) values ($1, $2, 'Planted', 'DRAFT')", [tenant.id, newId()])
    await at.owner("insert into saml.attempt (tenant_id, id, purpose, result, reason) values ($1, $2, 'SIGN_IN', 'REFUSED', 'ISSUER')", [
      tenant.id, newId(),
    ])
    await at.owner("insert into custody.legal_hold (tenant_id, id, basis, reference, placed_by) values ($1, $2, 'REGULATOR', 'P', $2)", [
      tenant.id, newId(),
    ])
    for (const role of ['compliance_officer', 'clinician'] as const) {
      const [grant, item] = [newId(), newId()]
      await at.owner(
        `insert into hitl.review_item (tenant_id, id, kind, subject_type, subject_id, recipient_id, subject_digest, risk, sla_at)
         values ($1, $2, 'AI_OUTPUT', 'AiResponse', $2, $3, repeat('0', 64), 'LOW', now() + interval '1 day')`,
        [tenant.id, item, recipientId],
      )
      await at.owner(
        `insert into hitl.review_decision (tenant_id, id, item_id, reviewer_id, verdict, phi) values ($1, $2, $3, $4, 'APPROVE', 'v1|planted')`,
        [tenant.id, newId(), item, newId()],
      )
      await at.owner(
        `insert into emergency.break_glass_grant (tenant_id, id, recipient_id, membership_id, phi, expires_at, review_item_id)
         values ($1, $2, $3, $4, 'v1|planted', now() + interval '30 minutes', $5)`,
        [tenant.id, grant, recipientId, tenant.member[role].membershipId, item],
      )
    }
  }
}
