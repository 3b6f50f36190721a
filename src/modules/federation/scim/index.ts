/** SCIM: the door for customers' directories. It never signs anybody in. */
import type { Unit } from '../../../platform/db/unit.ts'
import { defineModule } from '../../../platform/module.ts'
import { massChangeFlagged, scimPermissions } from './contract.ts'
import { compileFilter } from './filter/compile.ts'
import { compileSort } from './filter/sort.ts'
import { scimGraph } from './graph.ts'
import { createLister } from './list.ts'
import { patchGroup } from './patch/patch-group.ts'
import { patchUser } from './patch/patch-user.ts'
import { createProtocol } from './protocol.ts'
import { createRecorder } from './recorder.ts'
import { createAcrossRepo } from './repo-across.ts'
import { createConnectionsRepo } from './repo-connections.ts'
import { createExchangesRepo } from './repo-exchanges.ts'
import { createGroupsRepo } from './repo-groups.ts'
import { createUnsettledRepo } from './repo-unsettled.ts'
import { createUsersRepo } from './repo-users.ts'
import { present } from './schema/present.ts'
import { readProjection } from './schema/projection.ts'
import { readGroup } from './schema/read-group.ts'
import { readUser } from './schema/read-user.ts'
import { createAdmin } from './service-admin.ts'
import { createExchangeService } from './service-exchanges.ts'
import { createGroupService } from './service-groups.ts'
import { createUserService } from './service-users.ts'
import { createSettle } from './settle.ts'
import { createSettleLarge } from './settle-large.ts'

export const scim = defineModule({
  name: 'scim',
  summary: "What customers' directories say about their people, and what follows from it. It never signs anybody in.",
  needs: ['identity'],
  owns: [
    'ScimConnection',
    'ScimToken',
    'ScimUser',
    'ScimUserValue',
    'ScimGroup',
    'ScimGroupMember',
    'ScimRoleRule',
    'ScimReceipt',
    'ScimExchange',
    'ScimUnsettled',
  ],
  permissions: scimPermissions,
  events: [massChangeFlagged],
  rawSql: true,
  build: ({ db, sql, clock, log }, { identity }) => {
    const connections = createConnectionsRepo(db)
    const exchanges = createExchangesRepo(db, sql)
    const users = createUsersRepo(sql)
    const groups = createGroupsRepo(sql)
    const unsettled = createUnsettledRepo(sql)
    const large = createSettleLarge({ unsettled, identity })
    const settle = createSettle({ connections, users, identity, large, clock })
    const userService = createUserService({ users, settle, identity, readUser, patchUser })
    const groupService = createGroupService({ groups, settle, readGroup, patchGroup })
    const list = createLister({ users, groups, across: createAcrossRepo(sql), compileFilter, compileSort, nowMs: () => clock.nowMs() })
    const protocol = createProtocol({ users, groups, userService, groupService, list, present, readProjection })
    const recorder = createRecorder({ exchanges, log })
    const exchangeService = createExchangeService({ exchanges, protocol, users, settled: () => recorder.settle() })
    const contract = createAdmin({ connections, users, unsettled, settle, identity, clock, exchangeService })
    return { contract, protocol, recorder, workOff: (open: () => Unit) => large.workOff(settle, open) }
  },
  jobs: [{ name: 'settle-people', cron: '* * * * *', inEveryTenant: true, runInSteps: ({ workOff }, open) => workOff(open) }],
  settle: ({ recorder }) => recorder.settle(),
  graph: (builder, _refs, { contract }) => scimGraph(builder, contract),
})
