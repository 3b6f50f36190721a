/** Role rules in the graph: shown, previewed, set; and a directory's user linked to a member who was there before. */
import type { Plane } from '../../../kernel/scope.ts'
import type { Builder } from '../../../platform/graphql/builder.ts'
import { inCommand, inLongCommand, mayFail } from '../../../platform/graphql/command.ts'
import { encodeGlobalId } from '../../../platform/graphql/global-id.ts'
import { idArgument } from '../../../platform/graphql/id-argument.ts'
import { authLogin } from '../../../platform/module.ts'
import { directoryRoles } from '../../identity/contract.ts'
import type { PreviewedChange, RuleInput, RulesPreview, Scim } from './contract.ts'

export interface Marks {
  readonly manage: { readonly permission: 'sso:manage' }
  readonly subGraphs: Plane[]
}

export function rulesGraph(builder: Builder, scim: Scim, { manage, subGraphs }: Marks) {
  const Match = builder.enumType('ScimRuleMatch', { values: ['DISPLAY_NAME', 'EXTERNAL_ID'] as const })
  const DirectoryRole = builder.enumType('DirectoryRole', { values: directoryRoles })

  const Rule = builder.objectRef<RuleInput>('ScimRoleRule').implement({
    description: 'Which group means which role.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      match: t.expose('match', { type: Match }),
      value: t.exposeString('value', { description: "The group's name, in any case, or its external id." }),
      role: t.expose('role', { type: DirectoryRole }),
    }),
  })
  const Input = builder.inputType('ScimRoleRuleInput', {
    fields: (t) => ({
      match: t.field({ type: Match, required: true }),
      value: t.string({ required: true }),
      role: t.field({ type: DirectoryRole, required: true }),
    }),
  })

  const Change = builder.objectRef<PreviewedChange>('ScimRoleChange').implement({
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      userId: t.id({ resolve: ({ userId }) => encodeGlobalId('ScimUser', userId) }),
      userName: t.exposeString('userName'),
      from: t.exposeString('from', { nullable: true, description: 'Null: no access.' }),
      to: t.exposeString('to', { nullable: true, description: 'Null: no access.' }),
    }),
  })
  const Preview = builder.objectRef<RulesPreview>('ScimRulesPreview').implement({
    description: 'Who changes with these rules.',
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({
      people: t.exposeInt('people', { description: 'Of the connection.' }),
      changing: t.exposeInt('changing'),
      changes: t.field({ type: [Change], description: 'The first 200.', resolve: ({ changes }) => changes }),
    }),
  })

  builder.queryField('scimRulesPreview', (t) =>
    t.field({
      type: Preview,
      access: manage,
      subGraphs,
      args: { connectionId: t.arg.id({ required: true }), rules: t.arg({ type: [Input], required: true }) },
      resolve: (_, { connectionId, rules }, { scope }) =>
        scim.previewRules(scope, { connectionId: idArgument('ScimConnection', connectionId), rules }),
    }),
  )
  builder.mutationField('setScimRoleRules', (t) =>
    t.field({
      type: Preview,
      description: 'Replaces the rules and applies them to everybody at once. Privileged roles need a sign-in with a second factor.',
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { connectionId: t.arg.id({ required: true }), rules: t.arg({ type: [Input], required: true }) },
      resolve: (_, { connectionId, rules }, context) => {
        const wanted = { connectionId: idArgument('ScimConnection', connectionId), rules }
        return inLongCommand(context, 'setScimRoleRules', (scope) => scim.setRules(scope, wanted), authLogin)
      },
    }),
  )

  const Linked = builder.objectRef<{ userId: string }>('LinkedScimUser').implement({
    fieldAccess: manage,
    subGraphs,
    fields: (t) => ({ userId: t.id({ resolve: ({ userId }) => encodeGlobalId('ScimUser', userId) }) }),
  })
  builder.mutationField('linkScimUser', (t) =>
    t.field({
      type: Linked,
      description: 'Lets the directory act on a member who was there before it.',
      access: manage,
      subGraphs,
      errors: mayFail,
      args: { userId: t.arg.id({ required: true }), membershipId: t.arg.id({ required: true }) },
      resolve: (_, args, context) => {
        const wanted = { userId: idArgument('ScimUser', args.userId), membershipId: idArgument('Membership', args.membershipId) }
        return inCommand(context, 'linkScimUser', (scope) => scim.linkUser(scope, wanted), authLogin)
      },
    }),
  )
  return { Rule }
}
