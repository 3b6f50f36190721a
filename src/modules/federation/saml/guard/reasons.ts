/**
 * Why the guard refuses: one table of codes, each with a sentence for the people who run the identity provider, in English and Arabic.
 * The person who signs in sees none of it. A sentence holds no value of the message; `detail` of a refusal may.
 */
import type { Locale } from '../../../../kernel/locale.ts'

type Sentence = Readonly<Record<Locale, string>>

export const reasons = {
  // The bytes.
  MESSAGE_TOO_LARGE: { en: 'The message is larger than we take.', ar: 'الرسالة أكبر من الحجم المسموح به.' },
  NOT_BASE64: { en: 'The message is not valid base64.', ar: 'الرسالة ليست بترميز base64 صحيح.' },
  NOT_DEFLATED: { en: 'The redirect message is not deflated as the binding asks.', ar: 'رسالة إعادة التوجيه غير مضغوطة كما يتطلب الربط.' },
  NOT_UTF8: { en: 'The message is not UTF-8, the only encoding we take.', ar: 'الرسالة ليست بترميز UTF-8، وهو الترميز الوحيد المقبول.' },
  // The XML.
  XML_MALFORMED: { en: 'The message is not well-formed XML.', ar: 'الرسالة ليست XML سليم البنية.' },
  XML_DOCTYPE: { en: 'The message holds a document type declaration.', ar: 'تحتوي الرسالة على تعريف نوع المستند (DOCTYPE).' },
  XML_ENTITY: { en: 'The message uses an entity beyond the five of XML.', ar: 'تستخدم الرسالة كيانًا غير الكيانات الخمسة في XML.' },
  XML_COMMENT: { en: 'The message holds a comment.', ar: 'تحتوي الرسالة على تعليق.' },
  XML_CDATA: { en: 'The message holds a CDATA section.', ar: 'تحتوي الرسالة على قسم CDATA.' },
  XML_INSTRUCTION: { en: 'The message holds a processing instruction.', ar: 'تحتوي الرسالة على تعليمة معالجة.' },
  XML_CHARACTER: { en: 'The message holds a character that XML forbids.', ar: 'تحتوي الرسالة على محرف ممنوع في XML.' },
  XML_DUPLICATE_ATTRIBUTE: { en: 'An element has the same attribute twice.', ar: 'يحمل أحد العناصر السمة نفسها مرتين.' },
  XML_NAMESPACE: { en: 'A namespace prefix is undeclared or misused.', ar: 'بادئة فضاء أسماء غير معرّفة أو مستخدمة خطأً.' },
  XML_TOO_DEEP: { en: 'The elements of the message are nested too deeply.', ar: 'عناصر الرسالة متداخلة بعمق زائد.' },
  XML_TOO_MANY: { en: 'The message holds too many elements or attributes.', ar: 'تحتوي الرسالة على عدد زائد من العناصر أو السمات.' },
  // The shape.
  WRONG_ROOT: { en: 'The message is of another kind than this address takes.', ar: 'نوع الرسالة ليس ما يقبله هذا العنوان.' },
  ELEMENT_UNEXPECTED: { en: 'An element stands where SAML sign-on has no place for it.', ar: 'عنصر في موضع لا مكان له في رسائل SAML.' },
  ELEMENT_MISSING: { en: 'A required element is missing.', ar: 'عنصر مطلوب غير موجود.' },
  ATTRIBUTE_UNEXPECTED: { en: 'An XML attribute stands where SAML has no place for it.', ar: 'سمة XML في موضع لا مكان لها في SAML.' },
  ATTRIBUTE_MISSING: { en: 'A required XML attribute is missing.', ar: 'سمة XML مطلوبة غير موجودة.' },
  VALUE_MALFORMED: { en: 'A value is not written as its type asks.', ar: 'قيمة مكتوبة على غير ما يتطلبه نوعها.' },
  DUPLICATE_ID: { en: 'Two elements of the message have the same ID.', ar: 'عنصران في الرسالة يحملان المعرّف نفسه.' },
  ASSERTION_MISSING: { en: 'The response holds no assertion.', ar: 'لا تحتوي الاستجابة على أي تأكيد.' },
  ASSERTION_SEVERAL: { en: 'The response holds more than one assertion.', ar: 'تحتوي الاستجابة على أكثر من تأكيد واحد.' },
  ASSERTION_MISPLACED: { en: 'An assertion or response stands inside another element.', ar: 'تأكيد أو استجابة داخل عنصر آخر.' },
  // The signature.
  SIGNATURE_MISSING: { en: 'Neither the response nor the assertion is signed.', ar: 'لا الاستجابة ولا التأكيد موقّعان.' },
  SIGNATURE_MISPLACED: { en: 'A signature does not stand directly in what it signs.', ar: 'توقيع ليس مباشرة داخل العنصر الذي يوقّعه.' },
  REFERENCE_SEVERAL: { en: 'A signature refers to more than one thing.', ar: 'يشير التوقيع إلى أكثر من شيء واحد.' },
  REFERENCE_FOREIGN: {
    en: 'A signature refers to something else than the element it stands in.',
    ar: 'يشير التوقيع إلى غير العنصر الذي يقف فيه.',
  },
  TRANSFORM_FORBIDDEN: {
    en: 'A signature uses a transform other than enveloped signature and exclusive canonicalization.',
    ar: 'يستخدم التوقيع تحويلًا غير التوقيع المغلَّف والصيغة القانونية الحصرية.',
  },
  CANONICALIZATION_FORBIDDEN: {
    en: 'A signature uses a canonicalization other than the exclusive one.',
    ar: 'يستخدم التوقيع صيغة قانونية غير الحصرية.',
  },
  SIGNATURE_ALGORITHM: {
    en: 'The signature algorithm is not one of RSA or ECDSA with SHA-256, SHA-384 or SHA-512.',
    ar: 'خوارزمية التوقيع ليست RSA أو ECDSA مع SHA-256 أو SHA-384 أو SHA-512.',
  },
  DIGEST_ALGORITHM: {
    en: 'The digest algorithm is not SHA-256, SHA-384 or SHA-512.',
    ar: 'خوارزمية البصمة ليست SHA-256 أو SHA-384 أو SHA-512.',
  },
  DIGEST_MISMATCH: { en: 'The message was changed after it was signed.', ar: 'تغيّرت الرسالة بعد توقيعها.' },
  SIGNATURE_INVALID: {
    en: 'The signature does not verify with any certificate of this connection.',
    ar: 'لا يصحّ التوقيع بأي شهادة من شهادات هذا الاتصال.',
  },
  SIGNING_KEY_UNKNOWN: {
    en: 'The message is signed with a certificate that this connection does not have. Was it renewed at the identity provider?',
    ar: 'الرسالة موقّعة بشهادة ليست لدى هذا الاتصال. هل جُدّدت الشهادة لدى مزوّد الهوية؟',
  },
  CERTIFICATE_UNUSABLE: {
    en: 'This connection has no certificate with a usable key (RSA of at least 2048 bits, or EC P-256, P-384, P-521).',
    ar: 'لا توجد لدى هذا الاتصال شهادة بمفتاح صالح (RSA بطول 2048 بت على الأقل أو EC P-256 أو P-384 أو P-521).',
  },
  // The encryption.
  ENCRYPTION_ALGORITHM: {
    en: 'The assertion is encrypted with an algorithm that we do not take.',
    ar: 'التأكيد مشفّر بخوارزمية لا نقبلها.',
  },
  ENCRYPTION_UNSIGNED: {
    en: 'An assertion encrypted in CBC mode is taken only inside a signed response.',
    ar: 'لا يُقبل تأكيد مشفّر بنمط CBC إلا داخل استجابة موقّعة.',
  },
  DECRYPTION_FAILED: { en: 'The assertion could not be decrypted with our keys.', ar: 'تعذّر فك تشفير التأكيد بمفاتيحنا.' },
  // The statement.
  VERSION: { en: 'The message is not of SAML version 2.0.', ar: 'الرسالة ليست من الإصدار 2.0 من SAML.' },
  STATUS: { en: 'The identity provider answered that the sign-in did not succeed.', ar: 'أجاب مزوّد الهوية بأن تسجيل الدخول لم ينجح.' },
  ISSUER: {
    en: 'The message is issued by another identity provider than this connection.',
    ar: 'مُصدر الرسالة ليس مزوّد الهوية لهذا الاتصال.',
  },
  DESTINATION: { en: 'The message is addressed to another URL.', ar: 'الرسالة موجّهة إلى عنوان آخر.' },
  ISSUED_IN_FUTURE: {
    en: 'The message is issued in the future. Check the clock of the identity provider.',
    ar: 'تاريخ إصدار الرسالة في المستقبل. تحقّق من ساعة مزوّد الهوية.',
  },
  ISSUED_LONG_AGO: { en: 'The message was issued too long ago.', ar: 'صدرت الرسالة منذ وقت أطول من المسموح.' },
  IN_RESPONSE_TO: { en: 'The message answers another request than the one that was sent.', ar: 'الرسالة تجيب طلبًا غير الطلب المرسل.' },
  UNSOLICITED: {
    en: 'The message answers no request, and this connection does not allow that.',
    ar: 'الرسالة لا تجيب أي طلب، وهذا الاتصال لا يسمح بذلك.',
  },
  SUBJECT_MISSING: { en: 'The assertion does not name a subject.', ar: 'لا يسمّي التأكيد صاحبه.' },
  NAME_ID: { en: 'The NameID of the subject is empty or not usable.', ar: 'معرّف الاسم (NameID) فارغ أو غير صالح للاستخدام.' },
  CONFIRMATION_METHOD: { en: 'The subject is not confirmed as bearer.', ar: 'لا يوجد تأكيد للصاحب بطريقة bearer.' },
  CONFIRMATION_NOT_BEFORE: {
    en: 'A bearer confirmation carries NotBefore, which the profile forbids.',
    ar: 'يحمل تأكيد bearer القيمة NotBefore، وهذا ممنوع في المواصفة.',
  },
  CONFIRMATION_EXPIRED: {
    en: 'The confirmation of the subject has expired or does not expire.',
    ar: 'انتهت صلاحية تأكيد الصاحب أو ليست له نهاية.',
  },
  RECIPIENT: { en: 'The confirmation of the subject is meant for another URL.', ar: 'تأكيد الصاحب مخصّص لعنوان آخر.' },
  CONFIRMATION_IN_RESPONSE_TO: {
    en: 'The confirmation of the subject answers another request than the one that was sent.',
    ar: 'تأكيد الصاحب يجيب طلبًا غير الطلب المرسل.',
  },
  CONDITIONS_MISSING: { en: 'The assertion holds no conditions.', ar: 'لا يحتوي التأكيد على شروط.' },
  NOT_YET_VALID: {
    en: 'The assertion is not yet valid. Check the clock of the identity provider.',
    ar: 'لم تبدأ صلاحية التأكيد بعد. تحقّق من ساعة مزوّد الهوية.',
  },
  EXPIRED: { en: 'The assertion has expired.', ar: 'انتهت صلاحية التأكيد.' },
  AUDIENCE: { en: 'The assertion is meant for another audience.', ar: 'التأكيد مخصّص لجهة أخرى.' },
  AUTHN_STATEMENT: { en: 'The assertion does not state an authentication.', ar: 'لا يذكر التأكيد عملية مصادقة.' },
  AUTHN_IN_FUTURE: { en: 'The authentication lies in the future.', ar: 'وقت المصادقة في المستقبل.' },
  SESSION_OVER: { en: 'The session at the identity provider is already over.', ar: 'انتهت الجلسة لدى مزوّد الهوية.' },
  // Logout by redirect.
  QUERY_MALFORMED: {
    en: 'The query of the redirect is malformed or has a parameter twice.',
    ar: 'معاملات إعادة التوجيه غير سليمة أو مكرّرة.',
  },
  // Metadata.
  METADATA_NO_PROVIDER: { en: 'The metadata describes no SAML 2.0 identity provider.', ar: 'لا تصف البيانات الوصفية مزوّد هوية SAML 2.0.' },
  METADATA_SEVERAL: {
    en: 'The metadata describes several identity providers; give the one of this connection.',
    ar: 'تصف البيانات الوصفية عدة مزوّدي هوية؛ قدّم بيانات مزوّد هذا الاتصال وحده.',
  },
  METADATA_EXPIRED: { en: 'The metadata is no longer valid.', ar: 'انتهت صلاحية البيانات الوصفية.' },
  METADATA_CERTIFICATE: { en: 'The metadata holds no usable signing certificate.', ar: 'لا تحتوي البيانات الوصفية على شهادة توقيع صالحة.' },
  METADATA_ENDPOINT: {
    en: 'The metadata holds no usable sign-on address by https.',
    ar: 'لا تحتوي البيانات الوصفية على عنوان دخول صالح عبر https.',
  },
} as const satisfies Readonly<Record<string, Sentence>>

export type ReasonCode = keyof typeof reasons
