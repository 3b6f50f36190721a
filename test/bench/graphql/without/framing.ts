/** No request is misframed. */
import type { framingRefusal as original } from '../../../../src/platform/http/framing.ts'

export const framingRefusal: typeof original = () => null
