/** What the set-up pages say, in both languages. */
import type { Locale } from '../../../../kernel/locale.ts'
import type { ConnectionState, MappableRole } from '../rules.ts'

type Said = Readonly<Record<Locale, string>>

const words = {
  title: { en: 'Set up single sign-on', ar: 'إعداد الدخول الموحّد' },
  begin: { en: 'Begin', ar: 'ابدأ' },
  beginText: {
    en: 'This link works once and binds the browser that opens it. Open it on the computer on which you will do the work; you can go on over several days.',
    ar: 'يعمل هذا الرابط مرة واحدة ويرتبط بالمتصفح الذي يفتحه. افتحه على الحاسوب الذي ستعمل عليه، ويمكنك المتابعة على مدى أيام.',
  },
  dead: { en: 'This set-up link does not work any more', ar: 'رابط الإعداد هذا لم يعد يعمل' },
  deadText: { en: 'It was opened in another browser, was taken back, or is too old. Ask for a new one.', ar: 'فُتح في متصفح آخر أو سُحب أو انتهت مدته. اطلب رابطًا جديدًا.' },
  state: { en: 'State', ar: 'الحالة' },
  vendor: { en: '1. Your identity provider', ar: '١. مزوّد الهوية لديك' },
  name: { en: 'Name that people see', ar: 'الاسم الذي يراه الناس' },
  save: { en: 'Save', ar: 'حفظ' },
  ours: { en: '2. Copy these values to it', ar: '٢. انسخ هذه القيم إليه' },
  entityId: { en: 'Entity ID (identifier, audience)', ar: 'معرّف الكيان (Entity ID)' },
  acs: { en: 'Reply URL (assertion consumer service)', ar: 'عنوان الرد (ACS)' },
  metadataAt: { en: 'Our metadata', ar: 'بياناتنا الوصفية' },
  logoutAt: { en: 'Logout URL', ar: 'عنوان تسجيل الخروج' },
  metadata: { en: '3. Give us its metadata', ar: '٣. أعطنا بياناته الوصفية' },
  url: { en: 'Address of the metadata (best: it is read anew every day)', ar: 'عنوان البيانات الوصفية (الأفضل: تُقرأ يوميًا)' },
  file: { en: 'or a file', ar: 'أو ملف' },
  read: { en: 'Read metadata', ar: 'اقرأ البيانات الوصفية' },
  provider: { en: 'Identity provider', ar: 'مزوّد الهوية' },
  kept: {
    en: 'It could not be read anew. What was read last stays in force.',
    ar: 'تعذّرت قراءتها من جديد. ويبقى ما قُرئ آخر مرة ساريًا.',
  },
  certificates: { en: 'Certificates', ar: 'الشهادات' },
  until: { en: 'until', ar: 'حتى' },
  mapping: { en: '4. Who people are', ar: '٤. تعريف الأشخاص' },
  email: { en: 'Attribute with the e-mail address (empty: the usual names, then the NameID)', ar: 'السمة التي تحمل البريد (فارغ: الأسماء المعتادة ثم NameID)' },
  immutable: { en: 'Attribute with an id that never changes (empty: the NameID)', ar: 'السمة التي تحمل معرّفًا لا يتغيّر (فارغ: NameID)' },
  jit: { en: 'Add people who are not here yet when they sign in, unless a directory is named', ar: 'أضف من ليس هنا بعد عند دخوله، ما لم يُعيَّن دليل' },
  jitRole: { en: 'Their role when no rule below matches', ar: 'دورهم إذا لم تنطبق أي قاعدة' },
  none: { en: 'none: refuse', ar: 'لا شيء: رفض' },
  idp: { en: 'Take sign-ins that begin at the identity provider', ar: 'اقبل عمليات الدخول التي تبدأ عند مزوّد الهوية' },
  directory: { en: 'Directory (SCIM) whose people sign in here, with how many they are', ar: 'الدليل (SCIM) الذي يدخل أشخاصه من هنا، وعددهم' },
  noDirectory: { en: 'none', ar: 'لا شيء' },
  directoryText: {
    en: 'They are found by the id that never changes, whatever their address. Its administrators and compliance officers come in once an administrator of yours has named it in the console with a second factor.',
    ar: 'يُعرفون بالمعرّف الذي لا يتغيّر مهما كان بريدهم. ويدخل مسؤولوه ومسؤولو الامتثال بعد أن يعيّنه مسؤول لديكم في لوحة التحكم بعامل ثانٍ.',
  },
  rules: { en: '5. Groups to roles', ar: '٥. من المجموعات إلى الأدوار' },
  rulesText: { en: 'The first rule that matches wins. An administrator alone maps to administrators and compliance officers.', ar: 'أول قاعدة تنطبق هي الفاصلة. ربط المسؤولين ومسؤولي الامتثال يقوم به المسؤول وحده.' },
  attribute: { en: 'Attribute', ar: 'السمة' },
  value: { en: 'Value', ar: 'القيمة' },
  role: { en: 'Role', ar: 'الدور' },
  domain: { en: '6. Prove your mail domain', ar: '٦. إثبات نطاق البريد' },
  domainText: {
    en: 'Without a proven domain, addresses of any domain are taken that no other connection has proven.',
    ar: 'من دون نطاق مثبت تُقبل عناوين أي نطاق لم يثبته اتصال آخر.',
  },
  addDomain: { en: 'Add domain', ar: 'أضف نطاقًا' },
  record: { en: 'Publish this TXT record', ar: 'انشر سجل TXT هذا' },
  prove: { en: 'Check now', ar: 'تحقّق الآن' },
  proven: { en: 'proven', ar: 'مثبت' },
  remove: { en: 'Remove', ar: 'إزالة' },
  test: { en: '7. Try it', ar: '٧. جرّب' },
  testText: { en: 'You are sent to your identity provider and back. Nobody is signed in here; you see what came.', ar: 'تُرسَل إلى مزوّد الهوية ثم تعود. لا يُسجَّل دخول أحد هنا، وسترى ما وصل.' },
  testButton: { en: 'Test sign-in', ar: 'تجربة الدخول' },
  activate: { en: '8. Switch it on', ar: '٨. التفعيل' },
  activateText: { en: 'After a test sign-in went well.', ar: 'بعد نجاح تجربة الدخول.' },
  activateButton: { en: 'Activate', ar: 'تفعيل' },
  attempts: { en: 'The last sign-ins', ar: 'آخر عمليات الدخول' },
  noAttempts: { en: 'None yet.', ar: 'لا شيء بعد.' },
  tested: { en: 'The test sign-in came back', ar: 'عادت تجربة الدخول' },
  failed: { en: 'The test sign-in was refused', ar: 'رُفضت تجربة الدخول' },
  notLetIn: { en: 'The message is right, but this person would not be let in', ar: 'الرسالة صحيحة، لكن لن يُسمح لهذا الشخص بالدخول' },
  wouldBe: { en: 'The role it would give', ar: 'الدور الذي سيُعطى' },
  back: { en: 'Back to the set-up', ar: 'العودة إلى الإعداد' },
  number: { en: 'Number', ar: 'الرقم' },
  problem: { en: 'This was not done', ar: 'لم يتم ذلك' },
  done: { en: 'Saved.', ar: 'تم الحفظ.' },
} as const satisfies Readonly<Record<string, Said>>

/** What a certificate's state means for IT. */
export const certificateWords: Readonly<Record<string, Said>> = {
  ACTIVE: { en: 'in force', ar: 'سارية' },
  PINNED: { en: 'in force, staged before', ar: 'سارية، أُعدّت مسبقًا' },
  STAGED: { en: 'staged: waits for its first login', ar: 'مُعدّة: تنتظر أول دخول بها' },
  RETIRED: { en: 'not in use any more', ar: 'لم تعد مستخدمة' },
}

/** How an attempt ended. */
export const resultWords: Readonly<Record<string, Said>> = {
  SIGNED_IN: { en: 'signed in', ar: 'تم الدخول' },
  TESTED: { en: 'tested', ar: 'تمت التجربة' },
  STEPPED_UP: { en: 'proved again', ar: 'أُعيد إثبات الهوية' },
  REFUSED: { en: 'refused', ar: 'رُفض' },
}

/** Parts of an assertion, as a test shows them, in this order. */
export const partWords: Readonly<Record<string, Said>> = {
  issuer: { en: 'Identity provider', ar: 'مزوّد الهوية' },
  nameId: { en: 'Name (NameID)', ar: 'معرّف الاسم (NameID)' },
  nameIdFormat: { en: 'Format of the name', ar: 'صيغة المعرّف' },
  email: { en: 'E-mail address', ar: 'البريد الإلكتروني' },
  authnInstant: { en: 'Signed in there at', ar: 'وقت الدخول هناك' },
  authnContext: { en: 'How', ar: 'بأي وسيلة' },
  sessionNotOnOrAfter: { en: 'Session there ends', ar: 'تنتهي الجلسة هناك' },
  certificate: { en: 'Signed with the certificate', ar: 'وُقّعت بالشهادة' },
}

/** What a connection's state means for IT. */
export const stateWords: Readonly<Record<ConnectionState, Said>> = {
  DRAFT: { en: 'the metadata is missing', ar: 'البيانات الوصفية ناقصة' },
  CONFIGURED: { en: 'a test sign-in is next', ar: 'الخطوة التالية تجربة الدخول' },
  TESTED: { en: 'ready to be switched on', ar: 'جاهز للتفعيل' },
  ACTIVE: { en: 'people sign in', ar: 'الدخول يعمل' },
  ENFORCED: { en: 'people sign in, passwords are off', ar: 'الدخول يعمل وكلمات المرور متوقفة' },
  ROTATING: { en: 'people sign in, the certificate ends soon', ar: 'الدخول يعمل والشهادة توشك أن تنتهي' },
  DISABLED: { en: 'nobody signs in', ar: 'الدخول متوقف' },
}

export const roleWords: Readonly<Record<MappableRole, Said>> = {
  tenant_admin: { en: 'Administrator', ar: 'مسؤول المؤسسة' },
  compliance_officer: { en: 'Compliance officer', ar: 'مسؤول الامتثال' },
  care_coordinator: { en: 'Care coordinator (console)', ar: 'منسّق رعاية (لوحة التحكم)' },
  clinician: { en: 'Clinician', ar: 'كادر سريري' },
  caregiver: { en: 'Caregiver', ar: 'مقدّم رعاية' },
}

export type Word = keyof typeof words
export const inWords = (locale: Locale) => (word: Word): string => words[word][locale]

export const vendorWords: Readonly<Record<string, { readonly name: string; readonly where: Said }>> = {
  entra: {
    name: 'Microsoft Entra ID',
    where: {
      en: 'Enterprise applications, new application, create your own, single sign-on, SAML. Metadata: “App Federation Metadata Url”.',
      ar: 'افتح Enterprise applications ثم تطبيق جديد ثم Single sign-on ثم SAML. البيانات الوصفية هي App Federation Metadata Url.',
    },
  },
  okta: {
    name: 'Okta',
    where: { en: 'Applications, create app integration, SAML 2.0. Metadata: Sign On tab, “Metadata URL”.', ar: 'افتح Applications ثم Create App Integration ثم SAML 2.0. البيانات الوصفية هي Metadata URL في تبويب Sign On.' },
  },
  google: {
    name: 'Google Workspace',
    where: { en: 'Admin console, Apps, Web and mobile apps, add custom SAML app. Download the metadata file.', ar: 'افتح Admin console ثم Apps ثم Web and mobile apps ثم Add custom SAML app. نزّل ملف البيانات الوصفية.' },
  },
  ping: {
    name: 'PingOne / PingFederate',
    where: { en: 'Applications, add application, SAML. Metadata: Configuration tab, “IdP Metadata URL”.', ar: 'افتح Applications ثم Add application ثم SAML. البيانات الوصفية هي IdP Metadata URL.' },
  },
  adfs: {
    name: 'AD FS',
    where: { en: 'Add a relying party trust from our metadata address. Its metadata: https://<host>/FederationMetadata/2007-06/FederationMetadata.xml', ar: 'أضف Relying Party Trust من عنوان بياناتنا الوصفية. بياناته: https://<host>/FederationMetadata/2007-06/FederationMetadata.xml' },
  },
  generic: {
    name: 'SAML 2.0',
    where: { en: 'Create a service provider from our metadata address or from the values below.', ar: 'أنشئ مزوّد خدمة من عنوان بياناتنا الوصفية أو من القيم أدناه.' },
  },
}

const problems: Readonly<Record<string, string>> = {
  ENTITY_TAKEN: 'يوجد اتصال آخر لهذه المؤسسة مع مزوّد الهوية هذا.',
  EGRESS_REFUSED: 'تعذّر جلب هذا العنوان: يجب أن يكون عنوان https عامًا يجيب.',
  INVALID_INPUT: 'أحد الحقول غير مكتوب كما يجب.',
  ROLE_NEEDS_ADMIN: 'الربط بهذا الدور يقوم به مسؤول مسجّل الدخول بعامل ثانٍ فقط.',
  PROVIDER_NEEDS_ADMIN: 'يدخل الناس من هذا الاتصال بالفعل، أو تجعل قاعدة بعضهم مسؤولين: تغيير مزوّد الهوية أو المعرّف الثابت يقوم به المسؤول من لوحة التحكم.',
  DOMAIN_NOT_PROVEN: 'سجل TXT غير موجود بعد. انشره ثم حاول مجددًا، وقد يستغرق ظهوره ساعة.',
  INVALID_TRANSITION: 'لا يمكن ذلك الآن. هل نجحت تجربة الدخول؟',
  FOREIGN_FORM: 'أُرسل هذا النموذج من موقع آخر.',
}

/** A fault in the reader's language; its own sentence where it has no other. */
export function problemIn(locale: Locale, fault: { code: string; message: string; data: unknown }, sentence: (reason: string) => string): string {
  if (locale === 'en') return fault.code === 'INVALID_TRANSITION' ? 'This cannot be done now. Did a test sign-in go well?' : fault.message
  const { reason } = (fault.data ?? {}) as { reason?: unknown }
  if (fault.code === 'METADATA_REFUSED' && typeof reason === 'string') return `لا يمكن استخدام البيانات الوصفية: ${sentence(reason)}`
  return problems[fault.code] ?? fault.message
}
