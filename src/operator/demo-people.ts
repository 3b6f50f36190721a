/** The demo's people. All invented; names combine common given and family names, numbers are from ranges that no one is given. */

export interface DemoTenant {
  readonly slug: string
  readonly legalName: string
  readonly kind: 'AGENCY' | 'CLINIC' | 'HOSPITAL'
  readonly locale: 'en' | 'ar'
  readonly timezone: string
  readonly currency: string
  readonly area: string
  readonly givenNames: readonly string[]
  readonly familyNames: readonly string[]
  readonly streets: readonly string[]
  readonly phonePrefix: string
}

export const demoTenants: readonly DemoTenant[] = [
  {
    slug: 'cedar',
    legalName: 'Cedar Home Care',
    kind: 'AGENCY',
    locale: 'en',
    timezone: 'Europe/London',
    currency: 'GBP',
    area: 'gcpvj',
    givenNames: ['Ada', 'Bruno', 'Clara', 'Daniel', 'Edith', 'Felix', 'Grace', 'Henry', 'Iris', 'Jonah', 'Kezia', 'Leo'],
    familyNames: ['Ashdown', 'Barlow', 'Carrow', 'Denby', 'Elmore', 'Fenwick', 'Garrow', 'Hollis'],
    streets: ['Alder Row', 'Birch Lane', 'Cedar Walk', 'Damson Court'],
    phonePrefix: '+44 7700 900',
  },
  {
    slug: 'zaytuna',
    legalName: 'عيادة الزيتونة',
    kind: 'CLINIC',
    locale: 'ar',
    timezone: 'Asia/Amman',
    currency: 'JOD',
    area: 'sv9jc',
    givenNames: ['آمنة', 'بلال', 'تالا', 'جواد', 'حنين', 'خالد', 'دانة', 'رامي', 'زينب', 'سامر', 'شذى', 'طارق'],
    familyNames: ['الزعتري', 'البستاني', 'الحوراني', 'الكرمي', 'النجّار', 'السروجي', 'العطّار', 'المرجان'],
    streets: ['شارع الزيتون', 'شارع الياسمين', 'طريق النبع', 'حيّ اللوز'],
    phonePrefix: '+962 7 0000 0',
  },
]

/** One member of each role. */
export const demoRoles = [
  'tenant_admin',
  'compliance_officer',
  'care_coordinator',
  'clinician',
  'caregiver',
  'provider_manager',
  'family',
] as const

/** Recipients, relatives and helpers: some thirty people. */
export const demoRecipients = 10
export const demoRelatives = 12
export const demoHelpers = 8

/** Groups of the demo's directory and what they mean. */
export const demoGroups = [
  ['Coordinators', 'care_coordinator'],
  ['Clinicians', 'clinician'],
  ['Caregivers', 'caregiver'],
] as const
