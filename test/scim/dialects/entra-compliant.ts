/** Microsoft Entra ID with its SCIM compliance flag (`aadOptscim062020` in the tenant URL): lower-case operations, true booleans. */
import { enterpriseUrn, groupUrn, patch, userUrn, type Scenario } from './scenario.ts'

const requests = 'https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups'
const flags = 'https://learn.microsoft.com/en-us/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility'

const base = { schemas: [userUrn], externalId: 'e-7002', userName: 'lina@hospital.test' }
const work = { value: 'lina@hospital.test', type: 'work', primary: true }

export const entraCompliantUsers: Scenario = {
  dialect: 'Entra ID with the compliance flag',
  title: 'a doctor comes, changes and goes',
  steps: [
    {
      // Shape: "Create User".
      law: 'creates a user',
      cites: requests,
      name: 'user:lina',
      method: 'POST',
      body: () => ({
        schemas: [userUrn, enterpriseUrn],
        externalId: 'e-7002',
        userName: 'lina@hospital.test',
        active: true,
        emails: [{ primary: true, type: 'work', value: 'lina@hospital.test' }],
        meta: { resourceType: 'User' },
        name: { familyName: 'Aziz', givenName: 'Lina' },
      }),
      stored: { ...base, name: { familyName: 'Aziz', givenName: 'Lina' }, active: true, emails: [work] },
    },
    {
      // Shape: "Requests made to add a single-value string attribute", with the flag.
      law: 'adds a single value with a small add',
      cites: flags,
      name: 'user:lina',
      method: 'PATCH',
      body: () => patch({ op: 'add', path: 'nickName', value: 'Lulu' }),
      stored: { ...base, name: { familyName: 'Aziz', givenName: 'Lina' }, nickName: 'Lulu', active: true, emails: [work] },
    },
    {
      // Shape: "Requests to replace multiple attributes", with the flag: one value with dotted and URN names.
      law: 'replaces by a filter and by one object of dotted and URN names',
      cites: flags,
      name: 'user:lina',
      method: 'PATCH',
      body: () =>
        patch(
          { op: 'replace', path: 'emails[type eq "work"].value', value: 'lina.aziz@hospital.test' },
          {
            op: 'replace',
            value: {
              displayName: 'Dr. Lina Aziz',
              'name.givenName': 'Lina Maria',
              'name.familyName': 'Aziz-Khalil',
              [`${enterpriseUrn}:employeeNumber`]: '7002',
            },
          },
        ),
      stored: {
        ...base,
        schemas: [userUrn, enterpriseUrn],
        name: { familyName: 'Aziz-Khalil', givenName: 'Lina Maria' },
        displayName: 'Dr. Lina Aziz',
        nickName: 'Lulu',
        active: true,
        emails: [{ ...work, value: 'lina.aziz@hospital.test' }],
        [enterpriseUrn]: { employeeNumber: '7002' },
      },
    },
    {
      // Shape: "Requests to replace multiple attributes" with a filter that picks nothing: RFC 7644 §3.5.2.3 answers noTarget.
      law: 'is told when a replace picks nothing, and nothing changes',
      cites: flags,
      name: 'user:lina',
      method: 'PATCH',
      body: () => patch({ op: 'replace', path: 'phoneNumbers[type eq "work"].value', value: '1' }),
      refused: 'noTarget',
    },
    {
      // Shape: "Requests made to add", with the flag, to a value that is not there.
      law: 'adds by a filter that picks nothing: the value is made',
      cites: flags,
      name: 'user:lina',
      method: 'PATCH',
      body: () =>
        patch({ op: 'add', path: 'phoneNumbers[type eq "work"].value', value: '+20 2 5550 2000' }, { op: 'remove', path: 'nickName' }),
      stored: {
        ...base,
        schemas: [userUrn, enterpriseUrn],
        name: { familyName: 'Aziz-Khalil', givenName: 'Lina Maria' },
        displayName: 'Dr. Lina Aziz',
        active: true,
        emails: [{ ...work, value: 'lina.aziz@hospital.test' }],
        phoneNumbers: [{ value: '+20 2 5550 2000', type: 'work' }],
        [enterpriseUrn]: { employeeNumber: '7002' },
      },
    },
    {
      // Shape: "Requests made to disable users", with the flag: a true boolean.
      law: 'disables with a boolean',
      cites: flags,
      name: 'user:lina',
      method: 'PATCH',
      body: () => patch({ op: 'replace', path: 'active', value: false }, { op: 'remove', path: enterpriseUrn }),
      stored: {
        ...base,
        name: { familyName: 'Aziz-Khalil', givenName: 'Lina Maria' },
        displayName: 'Dr. Lina Aziz',
        active: false,
        emails: [{ ...work, value: 'lina.aziz@hospital.test' }],
        phoneNumbers: [{ value: '+20 2 5550 2000', type: 'work' }],
      },
    },
  ],
}

const doctors = { schemas: [groupUrn], externalId: 'g-9002', displayName: 'Doctors' }

export const entraCompliantGroups: Scenario = {
  dialect: 'Entra ID with the compliance flag',
  title: 'a group and its members',
  steps: [
    {
      // Shape: "Create User", shortened.
      law: 'creates a user for a group',
      cites: requests,
      name: 'user:rami',
      method: 'POST',
      body: () => ({ schemas: [userUrn], userName: 'rami@hospital.test', active: true }),
      stored: { schemas: [userUrn], userName: 'rami@hospital.test', active: true },
    },
    {
      // Shape: "Create Group".
      law: 'creates a group',
      cites: requests,
      name: 'group:doctors',
      method: 'POST',
      body: () => ({ schemas: [groupUrn], externalId: 'g-9002', displayName: 'Doctors', meta: { resourceType: 'Group' } }),
      stored: doctors,
      members: [],
    },
    {
      // Shape: "Update Group [Add Members]" with a small add.
      law: 'adds a member',
      cites: requests,
      name: 'group:doctors',
      method: 'PATCH',
      body: (id) => patch({ op: 'add', path: 'members', value: [{ value: id('user:rami') }] }),
      stored: doctors,
      members: ['user:rami'],
    },
    {
      // Shape: "Requests made to remove a group member", with the flag: the path says who.
      law: 'removes a member by a filter in the path',
      cites: flags,
      name: 'group:doctors',
      method: 'PATCH',
      body: (id) => patch({ op: 'remove', path: `members[value eq "${id('user:rami')}"]` }),
      stored: doctors,
      members: [],
    },
    {
      law: 'removes a member who is none: nothing happens',
      cites: flags,
      name: 'group:doctors',
      method: 'PATCH',
      body: (id) => patch({ op: 'remove', path: `members[value eq "${id('user:rami')}"]` }),
      stored: doctors,
      members: [],
    },
  ],
}
