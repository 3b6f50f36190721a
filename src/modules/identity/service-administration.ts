/** Identity's administration, put together from its subjects. */
import { checked } from '../../platform/contract.ts'
import type { Config } from '../../platform/config.ts'
import { createCodes } from './codes.ts'
import { memberMethods, type Members } from './contract-members.ts'
import { createInvitationSender } from './invitation-sender.ts'
import type { Parts } from './parts.ts'
import type { FactorsRepo } from './repo-factors.ts'
import type { MembersRepo } from './repo-members.ts'
import { createAcceptService } from './service-accept.ts'
import { createFactorService } from './service-factors.ts'
import { createInvitationService } from './service-invitations.ts'
import { createMemberService } from './service-members.ts'
import { createOperatorGuard, createOperatorService } from './service-operator.ts'
import { createTokenService } from './service-tokens.ts'
import { createSignIn } from './sign-in.ts'

export interface AdministrationParts extends Parts {
  readonly members: MembersRepo
  readonly factors: FactorsRepo
  readonly config: Parts['config'] & Pick<Config, 'demo'>
}

export function createAdministration(parts: AdministrationParts): Members {
  const { members: repo, config } = parts
  const sender = createInvitationSender({ ...parts, repo })
  const signIn = createSignIn(parts)
  const onlyOperator = createOperatorGuard({ repo, tenancy: parts.tenancy, isDemo: config.demo })
  return checked(memberMethods, {
    ...createMemberService({ ...parts, repo }),
    ...createInvitationService({ ...parts, repo, sender }),
    ...createAcceptService(parts, signIn),
    ...createFactorService({ ...parts, codes: createCodes(parts) }, signIn),
    ...createTokenService({ ...parts, repo, onlyOperator }),
    ...createOperatorService({ ...parts, repo, sender, onlyOperator }),
  })
}
