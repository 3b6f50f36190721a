/** Every reason for which a sign-in is refused: the guard's, and ours beside them, each with its sentence for IT in both languages. */
import { reasons as guardReasons, type ReasonCode as GuardReason } from './guard/reasons.ts'

/** Reasons of ours, beside the guard's: the message was right, and still nobody comes in. */
export const houseReasons = {
  UNKNOWN_PROVIDER: { en: 'No active connection is with the identity provider that sent this.', ar: 'لا يوجد اتصال نشط مع مزوّد الهوية الذي أرسل هذه الرسالة.' },
  UNKNOWN_REQUEST: { en: 'It answers a request that was never sent, was answered before, or is too old.', ar: 'تجيب طلبًا لم يُرسل، أو أُجيب من قبل، أو انتهت مدته.' },
  REPLAYED: { en: 'This assertion was used before.', ar: 'استُخدم هذا التأكيد من قبل.' },
  OTHER_BROWSER: { en: 'It was brought by another browser than the one that asked, too late, or twice.', ar: 'جاءت من متصفح غير الذي بدأ الطلب، أو متأخرة، أو مرتين.' },
  NO_EMAIL: { en: 'The assertion holds no e-mail address where the mapping looks for one.', ar: 'لا يحتوي التأكيد على عنوان بريد حيث تبحث عنه إعدادات الربط.' },
  NO_ID: { en: 'The assertion lacks the attribute with the immutable id.', ar: 'ينقص التأكيد السمة التي تحمل المعرّف الثابت.' },
  DOMAIN_OF_OTHERS: { en: 'The domain of this address belongs to another connection, or this one has proven others only.', ar: 'نطاق هذا العنوان لاتصال آخر، أو أن هذا الاتصال أثبت نطاقات أخرى فقط.' },
  TRANSIENT_ID: { en: 'The NameID is transient: nobody can be known by it again. Send a persistent one, or map an immutable id.', ar: 'معرّف الاسم مؤقت ولا يمكن التعرف به لاحقًا. أرسل معرّفًا دائمًا أو اربط معرّفًا ثابتًا.' },
  NO_MEMBERSHIP: { en: 'Nobody here is linked to this subject, and the connection does not add newcomers.', ar: 'لا أحد مرتبط بهذا الشخص هنا، والاتصال لا يضيف أعضاء جددًا.' },
  MEMBER_INACTIVE: { en: 'The membership is suspended or has ended.', ar: 'العضوية موقوفة أو منتهية.' },
  NO_ROLE: { en: 'No mapping rule gives this person a role.', ar: 'لا توجد قاعدة ربط تعطي هذا الشخص دورًا.' },
  NOT_LINKED: {
    en: 'Somebody with this address was here before. Whether it is the same person an administrator decides: invite her if she is no member of staff yet, then link her to this connection.',
    ar: 'يوجد هنا من قبل شخص بهذا العنوان. يقرر المسؤول إن كان الشخص نفسه: يدعوه إن لم يكن من الموظفين بعد، ثم يربطه بهذا الاتصال.',
  },
  DIRECTORY_UNCONFIRMED: {
    en: 'This person is an administrator or compliance officer of the directory, and no administrator with a second factor has named the directory here.',
    ar: 'هذا الشخص مسؤول أو مسؤول امتثال في الدليل، ولم يُعيّن الدليلَ هنا مسؤولٌ أثبت هويته بعامل ثانٍ.',
  },
  WRONG_PLANE: { en: 'This person belongs to another part of the product than the one she wanted to enter.', ar: 'هذا الشخص ينتمي إلى قسم آخر غير الذي أراد دخوله.' },
  OTHER_PERSON: { en: 'The second sign-in was by another person, or not by a fresh authentication.', ar: 'تمت المصادقة الثانية بشخص آخر أو لم تكن مصادقة جديدة.' },
} as const satisfies Readonly<Record<string, { readonly en: string; readonly ar: string }>>
export type HouseReason = keyof typeof houseReasons
export type AttemptReason = HouseReason | GuardReason

/** What a refusal tells a tenant's IT. */
export function reasonSentence(reason: string, locale: 'en' | 'ar'): string {
  const all: Readonly<Record<string, { readonly en: string; readonly ar: string }>> = { ...guardReasons, ...houseReasons }
  return all[reason]?.[locale] ?? reason
}
