/** No field asks for a permission: what Pothos' plugin of that name would wrap stays as it is. */
import SchemaBuilder, { BasePlugin } from '@pothos/core'

SchemaBuilder.registerPlugin('scopeAuth' as never, class extends BasePlugin<never> {} as never)

export default 'scopeAuth'
