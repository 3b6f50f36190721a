/** Okta: users whole by PUT or deactivated by PATCH, groups pushed with their members, renames that carry the group's own id. */
import { enterpriseUrn, groupUrn, patch, userUrn, type Scenario } from './scenario.ts'

const reference = 'https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20'

const mail = { value: 'noor@clinic.test', type: 'work', primary: true }
const created = {
  schemas: [userUrn],
  externalId: '00u-noor',
  userName: 'noor@clinic.test',
  name: { familyName: 'Saleh', givenName: 'Noor' },
  displayName: 'Noor Saleh',
  locale: 'en-US',
  active: true,
  emails: [mail],
}

export const oktaPut: Scenario = {
  dialect: 'Okta, PUT style',
  title: 'a courier comes, is updated whole, deactivated and reactivated',
  steps: [
    // Shape: "Determine if the User object exists".
    {
      law: 'asks by userName before it creates',
      cites: reference,
      name: 'user:noor',
      filter: () => 'userName eq "noor@clinic.test"',
      finds: false,
    },
    {
      // Shape: "Create the User": a password that is to be synchronised, an empty list of groups.
      law: 'creates with a password, which is not kept, and with empty groups',
      cites: reference,
      name: 'user:noor',
      method: 'POST',
      body: () => ({
        schemas: [userUrn],
        userName: 'noor@clinic.test',
        name: { givenName: 'Noor', familyName: 'Saleh' },
        emails: [{ primary: true, value: 'noor@clinic.test', type: 'work' }],
        displayName: 'Noor Saleh',
        locale: 'en-US',
        externalId: '00u-noor',
        groups: [],
        password: 'a password of the directory',
        active: true,
      }),
      stored: created,
    },
    { law: 'finds her by userName', cites: reference, name: 'user:noor', filter: () => 'userName eq "noor@clinic.test"', finds: true },
    {
      // Shape: "Update a specific User (PUT)": the whole profile with its own id, groups and meta.
      law: 'updates whole: what is not sent is gone, what only we may say is passed over',
      cites: reference,
      name: 'user:noor',
      method: 'PUT',
      body: (id) => ({
        schemas: [userUrn, enterpriseUrn],
        id: id('user:noor'),
        userName: 'noor@clinic.test',
        externalId: '00u-noor',
        name: { givenName: 'Noor', middleName: 'Excited', familyName: 'Saleh' },
        emails: [{ primary: true, value: 'noor.new@clinic.test', type: 'work', display: 'noor.new@clinic.test' }],
        active: true,
        groups: [{ value: 'g-1', display: 'Not for a directory to say here' }],
        meta: { resourceType: 'User', location: 'https://elsewhere.test/Users/1' },
        [enterpriseUrn]: { employeeNumber: '42', manager: { value: 'm-1', displayName: 'Passed over' } },
      }),
      stored: {
        schemas: [userUrn, enterpriseUrn],
        externalId: '00u-noor',
        userName: 'noor@clinic.test',
        name: { familyName: 'Saleh', givenName: 'Noor', middleName: 'Excited' },
        active: true,
        emails: [{ value: 'noor.new@clinic.test', display: 'noor.new@clinic.test', type: 'work', primary: true }],
        [enterpriseUrn]: { employeeNumber: '42', manager: { value: 'm-1' } },
      },
    },
    {
      // Shape: "Deactivate Users" by PUT: the profile with active false.
      law: 'deactivates whole',
      cites: reference,
      name: 'user:noor',
      method: 'PUT',
      body: (id) => ({ ...created, id: id('user:noor'), active: false }),
      stored: { ...created, active: false },
    },
    {
      // Shape: "Update a specific User (PUT)" without active: nobody comes back by a word that is missing.
      law: 'updates a deactivated user without naming active: she stays deactivated',
      cites: reference,
      name: 'user:noor',
      method: 'PUT',
      body: (id) => ({ ...created, id: id('user:noor'), active: undefined, displayName: 'N. Saleh' }),
      stored: { ...created, active: false, displayName: 'N. Saleh' },
    },
    {
      // Shape: "Reactivate Users" by PUT.
      law: 'reactivates whole',
      cites: reference,
      name: 'user:noor',
      method: 'PUT',
      body: (id) => ({ ...created, id: id('user:noor') }),
      stored: created,
    },
  ],
}

export const oktaPatch: Scenario = {
  dialect: 'Okta, PATCH style',
  title: 'a user is deactivated and reactivated by PATCH',
  steps: [
    {
      // Shape: "Create the User".
      law: 'creates a user',
      cites: reference,
      name: 'user:noor',
      method: 'POST',
      body: () => ({ ...created, groups: [], meta: { resourceType: 'User' } }),
      stored: created,
    },
    {
      // Shape: "Update a specific User (PATCH)": no path, a value with active.
      law: 'deactivates without a path',
      cites: reference,
      name: 'user:noor',
      method: 'PATCH',
      body: () => patch({ op: 'replace', value: { active: false } }),
      stored: { ...created, active: false },
    },
    {
      law: 'reactivates without a path',
      cites: reference,
      name: 'user:noor',
      method: 'PATCH',
      body: () => patch({ op: 'replace', value: { active: true } }),
      stored: created,
    },
    {
      // Shape: "Update a specific User (PATCH)" for a password: taken, never kept.
      law: 'synchronises a password: nothing of it is stored',
      cites: reference,
      name: 'user:noor',
      method: 'PATCH',
      body: () => patch({ op: 'replace', value: { password: 'another password' } }),
      stored: created,
    },
  ],
}

const person = (name: string) => ({
  // Shape: "Create the User", shortened.
  law: `creates ${name} for a group`,
  cites: reference,
  name: `user:${name}`,
  method: 'POST' as const,
  body: () => ({ schemas: [userUrn], userName: `${name}@clinic.test`, active: true }),
  stored: { schemas: [userUrn], userName: `${name}@clinic.test`, active: true },
})
const couriers = { schemas: [groupUrn], displayName: 'Couriers' }

export const oktaGroups: Scenario = {
  dialect: 'Okta, group push',
  title: 'a group is pushed, changed, renamed and replaced',
  steps: [
    person('adam'),
    person('huda'),
    person('ziad'),
    // Shape: "Determine if the Group exists", by displayName.
    { law: 'asks by displayName', cites: reference, name: 'group:couriers', filter: () => 'displayName eq "Couriers"', finds: false },
    {
      // Shape: "Create Groups": members with value and display.
      law: 'pushes a group with its members',
      cites: reference,
      name: 'group:couriers',
      method: 'POST',
      body: (id) => ({ schemas: [groupUrn], displayName: 'Couriers', members: [{ value: id('user:adam'), display: 'adam@clinic.test' }] }),
      stored: couriers,
      members: ['user:adam'],
    },
    {
      // Shape: "Update specific Group membership": a removal and an addition in one message.
      law: 'removes one and adds others in one message',
      cites: reference,
      name: 'group:couriers',
      method: 'PATCH',
      body: (id) =>
        patch(
          { op: 'remove', path: `members[value eq "${id('user:adam')}"]` },
          {
            op: 'add',
            path: 'members',
            value: [
              { value: id('user:huda'), display: 'huda@clinic.test' },
              { value: id('user:ziad'), display: 'ziad@clinic.test' },
            ],
          },
        ),
      stored: couriers,
      members: ['user:huda', 'user:ziad'],
    },
    {
      // Shape: "Update a specific Group name": the value carries the group's own id.
      law: 'renames with its own id in the value, and keeps its members',
      cites: reference,
      name: 'group:couriers',
      method: 'PATCH',
      body: (id) => patch({ op: 'replace', value: { id: id('group:couriers'), displayName: 'Couriers, north' } }),
      stored: { ...couriers, displayName: 'Couriers, north' },
      members: ['user:huda', 'user:ziad'],
    },
    {
      // Shape: "Update specific Group membership" by replacing all.
      law: 'replaces all members',
      cites: reference,
      name: 'group:couriers',
      method: 'PATCH',
      body: (id) => patch({ op: 'replace', path: 'members', value: [{ value: id('user:adam'), display: 'adam@clinic.test' }] }),
      stored: { ...couriers, displayName: 'Couriers, north' },
      members: ['user:adam'],
    },
    {
      // Shape: "Update Groups (PUT)": the whole group with its own id and its members.
      law: 'replaces the whole group',
      cites: reference,
      name: 'group:couriers',
      method: 'PUT',
      body: (id) => ({
        schemas: [groupUrn],
        id: id('group:couriers'),
        displayName: 'Couriers',
        members: [
          { value: id('user:adam'), display: 'adam@clinic.test' },
          { value: id('user:huda'), display: 'huda@clinic.test' },
        ],
      }),
      stored: couriers,
      members: ['user:adam', 'user:huda'],
    },
    {
      // Shape: "Update Groups (PUT)" that leaves members out: no one loses a role by omission.
      law: 'replaces the whole group without naming members: they stay',
      cites: reference,
      name: 'group:couriers',
      method: 'PUT',
      body: (id) => ({ schemas: [groupUrn], id: id('group:couriers'), displayName: 'Couriers, south' }),
      stored: { ...couriers, displayName: 'Couriers, south' },
      members: ['user:adam', 'user:huda'],
    },
    {
      law: 'finds the group by a member',
      cites: reference,
      name: 'group:couriers',
      filter: (id) => `members.value eq "${id('user:huda')}"`,
      finds: true,
    },
  ],
}
