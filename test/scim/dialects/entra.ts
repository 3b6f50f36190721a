/** Microsoft Entra ID as it speaks without its SCIM compliance flag: capital operations, booleans as text, removals with a value. */
import { enterpriseUrn, groupUrn, patch, userUrn, type Scenario } from './scenario.ts'

const requests = 'https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups'
const flags = 'https://learn.microsoft.com/en-us/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility'
const mappings = 'https://learn.microsoft.com/en-us/entra/identity/app-provisioning/customize-application-attributes'

const work = { value: 'sara.haddad@hospital.test', type: 'work', primary: true }
const created = {
  schemas: [userUrn],
  externalId: 'e-7001',
  userName: 'Sara.Haddad@hospital.test',
  name: { formatted: 'Sara Haddad', familyName: 'Haddad', givenName: 'Sara' },
  active: true,
  emails: [work],
}
const enriched = {
  schemas: [userUrn, enterpriseUrn],
  externalId: 'e-7001',
  userName: 'Sara.Haddad@hospital.test',
  name: { formatted: 'Sara Haddad', familyName: 'Haddad', givenName: 'Sara' },
  nickName: 'Sari',
  active: true,
  emails: [work],
  phoneNumbers: [{ value: '+20 2 5550 1000', type: 'work' }],
  addresses: [{ formatted: 'Building 4', type: 'other' }],
  [enterpriseUrn]: { employeeNumber: '7001', department: 'Surgery' },
}
const renamed = {
  ...enriched,
  userName: 'sara.nasser@hospital.test',
  name: { formatted: 'Sara Haddad', familyName: 'Nasser', givenName: 'Sara' },
  displayName: 'Sara Nasser',
}

/** `value` with the members of `keys` after those of `before`: the order in which resources are shown. */
function ordered(value: Readonly<Record<string, unknown>>, keys: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(keys.filter((key) => key in value).map((key) => [key, value[key]]))
}

const order = [
  'schemas',
  'externalId',
  'userName',
  'name',
  'displayName',
  'nickName',
  'active',
  'emails',
  'phoneNumbers',
  'addresses',
  'roles',
  enterpriseUrn,
]
const stored = (value: Readonly<Record<string, unknown>>) => ordered(value, order)

export const entraUsers: Scenario = {
  dialect: 'Entra ID',
  title: 'a nurse comes, changes, goes and comes back',
  steps: [
    // Shape: "Get User by query - Zero results" of the page.
    {
      law: 'asks by userName before it creates',
      cites: requests,
      name: 'user:sara',
      filter: () => 'userName eq "Sara.Haddad@hospital.test"',
      finds: false,
    },
    {
      // Shape: "Create User". The extension is declared and left empty; roles is an empty list; meta names the type.
      law: 'creates a user with an empty extension and empty roles',
      cites: requests,
      name: 'user:sara',
      method: 'POST',
      body: () => ({
        schemas: [userUrn, enterpriseUrn],
        externalId: 'e-7001',
        userName: 'Sara.Haddad@hospital.test',
        active: true,
        emails: [{ primary: true, type: 'work', value: 'sara.haddad@hospital.test' }],
        meta: { resourceType: 'User' },
        name: { formatted: 'Sara Haddad', familyName: 'Haddad', givenName: 'Sara' },
        roles: [],
      }),
      stored: created,
    },
    // Shape: "Get User by query"; userName is compared without its case.
    {
      law: 'finds her by userName in another case',
      cites: requests,
      name: 'user:sara',
      filter: () => 'userName eq "SARA.HADDAD@hospital.test"',
      finds: true,
    },
    // Shape: general guidelines, /Users: matching by an e-mail of a type.
    {
      law: 'finds her by her work e-mail',
      cites: requests,
      name: 'user:sara',
      filter: () => 'emails[type eq "work"].value eq "sara.haddad@hospital.test"',
      finds: true,
    },
    {
      law: 'does not find her by a home e-mail',
      cites: requests,
      name: 'user:sara',
      filter: () => 'emails[type eq "home"].value eq "sara.haddad@hospital.test"',
      finds: false,
    },
    { law: 'finds her by externalId', cites: requests, name: 'user:sara', filter: () => 'externalId eq "e-7001"', finds: true },
    {
      // Shape: "Requests made to add a single-value string attribute", without the flag.
      law: 'adds single values with a capital Add',
      cites: flags,
      name: 'user:sara',
      method: 'PATCH',
      body: () =>
        patch(
          { op: 'Add', path: 'nickName', value: 'Sari' },
          { op: 'Add', path: 'phoneNumbers[type eq "work"].value', value: '+20 2 5550 1000' },
          { op: 'Add', path: 'addresses[type eq "other"].formatted', value: 'Building 4' },
          { op: 'Add', path: `${enterpriseUrn}:employeeNumber`, value: '7001' },
          { op: 'Add', path: `${enterpriseUrn}:department`, value: 'Surgery' },
        ),
      stored: stored(enriched),
    },
    {
      // Shape: "Update User [Multi-valued properties]" and "Requests to replace multiple attributes", without the flag.
      law: 'replaces several attributes, each with its path',
      cites: flags,
      name: 'user:sara',
      method: 'PATCH',
      body: () =>
        patch(
          { op: 'Replace', path: 'displayName', value: 'Sara Nasser' },
          { op: 'Replace', path: 'emails[type eq "work"].value', value: 'sara.nasser@hospital.test' },
          { op: 'Replace', path: 'name.familyName', value: 'Nasser' },
          { op: 'Replace', path: 'userName', value: 'sara.nasser@hospital.test' },
        ),
      stored: stored({ ...renamed, emails: [{ ...work, value: 'sara.nasser@hospital.test' }] }),
    },
    {
      // Shape: attribute mapping of phoneNumbers[type eq "mobile"].value; Replace for a value that is not there yet.
      law: 'replaces a value that is not there: it is made',
      cites: requests,
      name: 'user:sara',
      method: 'PATCH',
      body: () => patch({ op: 'Replace', path: 'phoneNumbers[type eq "mobile"].value', value: '+20 100 555 0100' }),
      stored: stored({
        ...renamed,
        emails: [{ ...work, value: 'sara.nasser@hospital.test' }],
        phoneNumbers: [
          { value: '+20 2 5550 1000', type: 'work' },
          { value: '+20 100 555 0100', type: 'mobile' },
        ],
      }),
    },
    {
      // Shape: removal of a mapped value that became empty in the directory.
      law: 'removes the values again',
      cites: requests,
      name: 'user:sara',
      method: 'PATCH',
      body: () =>
        patch(
          { op: 'Remove', path: 'phoneNumbers[type eq "mobile"].value' },
          { op: 'Remove', path: 'addresses[type eq "other"].formatted' },
        ),
      stored: stored({ ...renamed, emails: [{ ...work, value: 'sara.nasser@hospital.test' }], addresses: undefined }),
    },
    {
      // Shape: SingleAppRoleAssignment, targets roles[primary eq "True"].display, .type and .value.
      law: 'assigns an application role through filters with "True" as text',
      cites: mappings,
      name: 'user:sara',
      method: 'PATCH',
      body: () =>
        patch(
          { op: 'Add', path: 'roles[primary eq "True"].display', value: 'Nurse' },
          { op: 'Add', path: 'roles[primary eq "True"].value', value: 'nurse' },
        ),
      stored: stored({
        ...renamed,
        emails: [{ ...work, value: 'sara.nasser@hospital.test' }],
        addresses: undefined,
        roles: [{ value: 'nurse', display: 'Nurse', primary: true }],
      }),
    },
    {
      // Shape: "Requests made to disable users", without the flag: the boolean is text.
      law: 'disables with "False" as text',
      cites: flags,
      name: 'user:sara',
      method: 'PATCH',
      body: () => patch({ op: 'Replace', path: 'active', value: 'False' }, { op: 'Remove', path: 'roles' }),
      stored: stored({ ...renamed, active: false, emails: [{ ...work, value: 'sara.nasser@hospital.test' }], addresses: undefined }),
    },
    {
      // Shape: "Disable User", the restoring counterpart with "True".
      law: 'enables with "True" as text',
      cites: flags,
      name: 'user:sara',
      method: 'PATCH',
      body: () => patch({ op: 'Replace', path: 'active', value: 'True' }),
      stored: stored({ ...renamed, emails: [{ ...work, value: 'sara.nasser@hospital.test' }], addresses: undefined }),
    },
  ],
}

export const entraManagers: Scenario = {
  dialect: 'Entra ID',
  title: 'a manager in every form',
  steps: [
    {
      // Shape: the sample schema of the page, where manager is text in the extension.
      law: 'creates with the manager as text',
      cites: requests,
      name: 'user:omar',
      method: 'POST',
      body: () => ({
        schemas: [userUrn, enterpriseUrn],
        userName: 'omar@hospital.test',
        active: true,
        [enterpriseUrn]: { manager: 'm-1' },
      }),
      stored: {
        schemas: [userUrn, enterpriseUrn],
        userName: 'omar@hospital.test',
        active: true,
        [enterpriseUrn]: { manager: { value: 'm-1' } },
      },
    },
    {
      // Shape: reference attribute, one value in a list with a null address.
      law: 'changes the manager by a list of one',
      cites: requests,
      name: 'user:omar',
      method: 'PATCH',
      body: () => patch({ op: 'Add', path: `${enterpriseUrn}:manager`, value: [{ $ref: null, value: 'm-2' }] }),
      stored: {
        schemas: [userUrn, enterpriseUrn],
        userName: 'omar@hospital.test',
        active: true,
        [enterpriseUrn]: { manager: { value: 'm-2' } },
      },
    },
    {
      // Shape: attribute mapping of manager, plain text.
      law: 'changes the manager by text',
      cites: requests,
      name: 'user:omar',
      method: 'PATCH',
      body: () => patch({ op: 'Replace', path: `${enterpriseUrn}:manager`, value: 'm-3' }),
      stored: {
        schemas: [userUrn, enterpriseUrn],
        userName: 'omar@hospital.test',
        active: true,
        [enterpriseUrn]: { manager: { value: 'm-3' } },
      },
    },
    {
      // Shape: attribute mapping of manager: removed in the directory.
      law: 'removes the manager, and with him the extension',
      cites: requests,
      name: 'user:omar',
      method: 'PATCH',
      body: () => patch({ op: 'Remove', path: `${enterpriseUrn}:manager` }),
      stored: { schemas: [userUrn], userName: 'omar@hospital.test', active: true },
    },
  ],
}

const person = (name: string) => ({
  // Shape: "Create User", shortened to what a membership needs.
  law: `creates ${name} for a group`,
  cites: requests,
  name: `user:${name}`,
  method: 'POST' as const,
  body: () => ({ schemas: [userUrn], userName: `${name}@hospital.test`, active: true }),
  stored: { schemas: [userUrn], userName: `${name}@hospital.test`, active: true },
})
const nurses = { schemas: [groupUrn], externalId: 'g-9001', displayName: 'Nurses' }

export const entraGroups: Scenario = {
  dialect: 'Entra ID',
  title: 'a group, its members one by one and together',
  steps: [
    person('ali'),
    person('mona'),
    // Shape: "Get Group by displayName".
    {
      law: 'asks by displayName without members',
      cites: requests,
      name: 'group:nurses',
      filter: () => 'displayName eq "Nurses"',
      finds: false,
      excludedAttributes: 'members',
    },
    {
      // Shape: "Create Group", with the schema of its own that this dialect adds.
      law: 'creates a group without members, with a schema of its own beside ours',
      cites: requests,
      name: 'group:nurses',
      method: 'POST',
      body: () => ({
        schemas: [groupUrn, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
        externalId: 'g-9001',
        displayName: 'Nurses',
        meta: { resourceType: 'Group' },
      }),
      stored: nurses,
      members: [],
    },
    {
      law: 'finds it by displayName in another case',
      cites: requests,
      name: 'group:nurses',
      filter: () => 'displayName eq "NURSES"',
      finds: true,
      excludedAttributes: 'members',
    },
    {
      // Shape: "Update Group [Add Members]": no type, a null address.
      law: 'adds a member without a type and with a null address',
      cites: requests,
      name: 'group:nurses',
      method: 'PATCH',
      body: (id) => patch({ op: 'Add', path: 'members', value: [{ $ref: null, value: id('user:ali') }] }),
      stored: nurses,
      members: ['user:ali'],
    },
    {
      law: 'adds further members in one operation',
      cites: requests,
      name: 'group:nurses',
      method: 'PATCH',
      body: (id) =>
        patch({
          op: 'Add',
          path: 'members',
          value: [
            { $ref: null, value: id('user:mona') },
            { $ref: null, value: id('user:ali') },
          ],
        }),
      stored: nurses,
      members: ['user:ali', 'user:mona'],
    },
    // Shape: "Group provisioning and deprovisioning": whether a reference attribute has a certain value.
    {
      law: 'asks whether a user is a member',
      cites: requests,
      name: 'group:nurses',
      filter: (id) => `id eq "${id('group:nurses')}" and members eq "${id('user:mona')}"`,
      finds: true,
      excludedAttributes: 'members',
    },
    {
      // Shape: "Requests made to remove a group member", without the flag: the value says who.
      law: 'removes the member its value names and no other',
      cites: flags,
      name: 'group:nurses',
      method: 'PATCH',
      body: (id) => patch({ op: 'Remove', path: 'members', value: [{ value: id('user:ali') }] }),
      stored: nurses,
      members: ['user:mona'],
    },
    {
      // Shape: "Update Group [Non-member attributes]".
      law: 'renames a group and keeps its members',
      cites: requests,
      name: 'group:nurses',
      method: 'PATCH',
      body: () => patch({ op: 'Replace', path: 'displayName', value: 'Nurses, surgery' }),
      stored: { ...nurses, displayName: 'Nurses, surgery' },
      members: ['user:mona'],
    },
  ],
}
