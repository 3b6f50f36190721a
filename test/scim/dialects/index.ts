/** Every scenario of every dialect. */
import { entraCompliantGroups, entraCompliantUsers } from './entra-compliant.ts'
import { entraGroups, entraManagers, entraUsers } from './entra.ts'
import { oktaGroups, oktaPatch, oktaPut } from './okta.ts'
import type { Scenario } from './scenario.ts'

export const scenarios: readonly Scenario[] = [
  entraUsers,
  entraManagers,
  entraGroups,
  entraCompliantUsers,
  entraCompliantGroups,
  oktaPut,
  oktaPatch,
  oktaGroups,
]
