/** Identity's state machines as data: who may be invited, be a member, stay signed in. They refuse every move not listed. */
import { machine } from '../../kernel/machine.ts'

/** An invitation's life. Its token works in SENT and SEEN only; resending makes a new token and the old one is dead. */
export const invitationMachine = machine({
  initial: 'CREATED',
  moves: [
    { from: 'CREATED', event: 'send', to: 'SENT', by: 'system' },
    { from: 'SENT', event: 'open', to: 'SEEN', by: 'invitee' },
    { from: 'SEEN', event: 'accept', to: 'ACCEPTED', by: 'invitee' },
    { from: ['SENT', 'SEEN'], event: 'expire', to: 'EXPIRED', by: 'system' },
    { from: 'EXPIRED', event: 'resend', to: 'SENT', by: 'inviter' },
    { from: ['CREATED', 'SENT', 'SEEN'], event: 'revoke', to: 'REVOKED', by: 'inviter' },
  ],
})
export type InvitationState = (typeof invitationMachine.states)[number]
export type InvitationEvent = (typeof invitationMachine.events)[number]

/** A membership's life. Only ACTIVE may do anything; ENDED is final, coming back is a new membership. */
export const membershipMachine = machine({
  initial: 'PENDING',
  moves: [
    { from: 'PENDING', event: 'activate', to: 'ACTIVE', by: 'invitee' },
    { from: 'ACTIVE', event: 'suspend', to: 'SUSPENDED', by: 'admin' },
    { from: 'SUSPENDED', event: 'resume', to: 'ACTIVE', by: 'admin' },
    { from: ['PENDING', 'ACTIVE', 'SUSPENDED'], event: 'end', to: 'ENDED', by: 'admin' },
  ],
})
export type MembershipState = (typeof membershipMachine.states)[number]
export type MembershipEvent = (typeof membershipMachine.events)[number]

/** A session's life. `expire` is the absolute end, `idle` the end for want of use; both and `reuse` are noticed by the system. */
export const sessionMachine = machine({
  initial: 'ACTIVE',
  moves: [
    { from: 'ACTIVE', event: 'rotate', to: 'ACTIVE', by: 'member' },
    { from: 'ACTIVE', event: 'revoke', to: 'REVOKED', by: 'member' },
    { from: 'ACTIVE', event: 'reuse', to: 'REVOKED', by: 'system' },
    { from: 'ACTIVE', event: 'idle', to: 'EXPIRED', by: 'system' },
    { from: 'ACTIVE', event: 'expire', to: 'EXPIRED', by: 'system' },
  ],
})
export type SessionState = (typeof sessionMachine.states)[number]
export type SessionEvent = (typeof sessionMachine.events)[number]
