/** Requests are not counted. */
import * as original from '../../../../src/platform/http/metrics.ts'

export * from '../../../../src/platform/http/metrics.ts'

export const createHttpMetrics: typeof original.createHttpMetrics = () => ({ ...original.createHttpMetrics(), begin: () => () => {}, shed() {} })
