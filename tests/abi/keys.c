/* Keys that must not leave, keys that are weak or none at all, copies, templates for what a key may wrap, the
 * post-quantum mechanisms, and searches of many objects: each refusal by a code that names the cause. */
#include "abi.h"

static struct CK_FUNCTION_LIST_3_0 *p11;
static struct additions_3_2 *more;
static CK_SESSION_HANDLE session;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;
static CK_KEY_TYPE aes_type = CKK_AES, ec_type = CKK_EC, rsa_type = CKK_RSA, x25519_type = 0x41, generic_type = CKK_GENERIC_SECRET;
static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, x25519[] = {0x06, 0x03, 0x2b, 0x65, 0x6e};
static CK_MECHANISM wrap = {CKM_AES_KEY_WRAP, NULL, 0};

static CK_OBJECT_HANDLE generate_aes(CK_ATTRIBUTE *extra, CK_ULONG count) {
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG length = 32;
    CK_ATTRIBUTE template[8] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &no, 1}};
    for (CK_ULONG i = 0; i < count; i++)
        template[2 + i] = extra[i];
    CK_OBJECT_HANDLE key;
    OK(p11->C_GenerateKey(session, &generate, template, count + 2, &key));
    return key;
}

static void keys_that_must_not_leave(void) {
    CK_ATTRIBUTE wraps[] = {{CKA_WRAP, &yes, 1}, {CKA_UNWRAP, &yes, 1}}, leaves[] = {{CKA_EXTRACTABLE, &yes, 1}};
    CK_OBJECT_HANDLE wrapping = generate_aes(wraps, 2), stays = generate_aes(NULL, 0), goes = generate_aes(leaves, 1), back, pair[2];
    CK_BYTE wrapped[64];
    CK_ULONG length = sizeof wrapped, needed = 0;
    WANT(p11->C_WrapKey(session, &wrap, wrapping, stays, wrapped, &length), CKR_KEY_UNEXTRACTABLE);
    WANT(p11->C_WrapKey(session, &wrap, stays, goes, wrapped, &length), CKR_KEY_FUNCTION_NOT_PERMITTED);
    make_pair(p11, session, &pair[0], &pair[1]);
    WANT(p11->C_WrapKey(session, &wrap, wrapping, pair[1], wrapped, &length), CKR_KEY_UNEXTRACTABLE);
    WANT(p11->C_WrapKey(session, &wrap, wrapping, pair[0], wrapped, &length), CKR_KEY_NOT_WRAPPABLE);
    WANT(p11->C_WrapKey(session, &wrap, pair[0], goes, wrapped, &length), CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
         CKR_KEY_FUNCTION_NOT_PERMITTED);
    OK(p11->C_WrapKey(session, &wrap, wrapping, goes, NULL, &needed));
    THAT(needed == 40);
    length = needed - 1;
    WANT(p11->C_WrapKey(session, &wrap, wrapping, goes, wrapped, &length), CKR_BUFFER_TOO_SMALL);
    THAT(length == needed);
    OK(p11->C_WrapKey(session, &wrap, wrapping, goes, wrapped, &length));
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &secret_class, sizeof secret_class}, {CKA_KEY_TYPE, &aes_type, sizeof aes_type}, {CKA_TOKEN, &no, 1}};
    OK(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, template, 3, &back));
    /* Damaged at any byte, cut or lengthened: no key comes of it. */
    for (CK_ULONG at = 0; at < length; at += 7) {
        wrapped[at] ^= 0x10;
        WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, template, 3, &back), CKR_WRAPPED_KEY_INVALID);
        wrapped[at] ^= 0x10;
    }
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length - 8, template, 3, &back), CKR_WRAPPED_KEY_INVALID);
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length - 1, template, 3, &back), CKR_WRAPPED_KEY_LEN_RANGE);
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, 0, template, 3, &back), CKR_WRAPPED_KEY_LEN_RANGE, CKR_WRAPPED_KEY_INVALID);
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, template, 1, &back), CKR_TEMPLATE_INCOMPLETE);
    CK_ATTRIBUTE rsa[] = {{CKA_CLASS, &private_class, sizeof private_class}, {CKA_KEY_TYPE, &rsa_type, sizeof rsa_type}};
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, rsa, 2, &back), CKR_WRAPPED_KEY_INVALID);
}

static void only_what_the_template_allows(void) {
    CK_BYTE label[] = "may go";
    CK_ATTRIBUTE inner[] = {{CKA_LABEL, label, 6}, {CKA_KEY_TYPE, &aes_type, sizeof aes_type}};
    CK_ATTRIBUTE forced[] = {{CKA_EXTRACTABLE, &no, 1}};
    CK_ATTRIBUTE wraps[] = {{CKA_WRAP, &yes, 1}, {CKA_UNWRAP, &yes, 1}, {CKA_WRAP_TEMPLATE, inner, sizeof inner},
                            {CKA_UNWRAP_TEMPLATE, forced, sizeof forced}};
    CK_ATTRIBUTE good[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_LABEL, label, 6}}, bad[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_LABEL, label, 5}};
    CK_OBJECT_HANDLE wrapping = generate_aes(wraps, 4), goes = generate_aes(good, 2), stays = generate_aes(bad, 2), back;
    CK_BYTE wrapped[64];
    CK_ULONG length = sizeof wrapped;
    WANT(p11->C_WrapKey(session, &wrap, wrapping, stays, wrapped, &length), CKR_KEY_NOT_WRAPPABLE);
    OK(p11->C_WrapKey(session, &wrap, wrapping, goes, wrapped, &length));
    CK_ATTRIBUTE again[] = {{CKA_CLASS, &secret_class, sizeof secret_class}, {CKA_KEY_TYPE, &aes_type, sizeof aes_type},
                            {CKA_TOKEN, &no, 1}, {CKA_EXTRACTABLE, &yes, 1}};
    WANT(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, again, 4, &back), CKR_TEMPLATE_INCONSISTENT);
    OK(p11->C_UnwrapKey(session, &wrap, wrapping, wrapped, length, again, 3, &back));
    CK_BBOOL leaves = CK_TRUE;
    CK_ATTRIBUTE ask = {CKA_EXTRACTABLE, &leaves, 1};
    OK(p11->C_GetAttributeValue(session, back, &ask, 1));
    THAT(leaves == CK_FALSE);

    /* The nested template reads as it was written: first its size, then the lengths, then the values. */
    CK_ATTRIBUTE read[2] = {{0}}, outer = {CKA_WRAP_TEMPLATE, NULL, 0};
    OK(p11->C_GetAttributeValue(session, wrapping, &outer, 1));
    THAT(outer.ulValueLen == sizeof read);
    outer.pValue = read;
    OK(p11->C_GetAttributeValue(session, wrapping, &outer, 1));
    CK_BYTE values[2][16];
    for (int i = 0; i < 2; i++) {
        THAT(read[i].ulValueLen <= 8);
        read[i].pValue = values[i];
    }
    OK(p11->C_GetAttributeValue(session, wrapping, &outer, 1));
    for (int i = 0; i < 2; i++)
        THAT(read[i].type == CKA_LABEL ? memcmp(values[i], label, 6) == 0 : memcmp(values[i], &aes_type, sizeof aes_type) == 0);
    CK_ATTRIBUTE deep[] = {{CKA_WRAP_TEMPLATE, inner, sizeof inner}}, twice_nested[] = {{CKA_WRAP_TEMPLATE, deep, sizeof deep}};
    CK_ULONG size = 32;
    CK_ATTRIBUTE nested[] = {{CKA_VALUE_LEN, &size, sizeof size}, twice_nested[0]}, cut[] = {nested[0], {CKA_WRAP_TEMPLATE, inner, 5}};
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
    WANT(p11->C_GenerateKey(session, &generate, nested, 2, &back), CKR_ATTRIBUTE_VALUE_INVALID);
    WANT(p11->C_GenerateKey(session, &generate, cut, 2, &back), CKR_ATTRIBUTE_VALUE_INVALID);
}

static void points_that_are_none(void) {
    CK_OBJECT_HANDLE pair[2], made;
    CK_MECHANISM make = {CKM_EC_KEY_PAIR_GEN, NULL, 0}, derive = {CKM_ECDH1_DERIVE, NULL, 0};
    CK_ATTRIBUTE curve[] = {{CKA_EC_PARAMS, p256, sizeof p256}}, derives[] = {{CKA_DERIVE, &yes, 1}};
    OK(p11->C_GenerateKeyPair(session, &make, curve, 1, derives, 1, &pair[0], &pair[1]));
    CK_BYTE off[67] = {4, 65, 4, [3] = 1, [66] = 1}, infinity[] = {0}, zero[32] = {0}, one[32] = {1};
    CK_ATTRIBUTE secret[] = {{CKA_CLASS, &secret_class, sizeof secret_class}, {CKA_KEY_TYPE, &generic_type, sizeof generic_type}, {CKA_TOKEN, &no, 1}};
    struct { CK_BYTE *point; CK_ULONG length; } points[] = {{off, 67}, {off + 2, 65}, {infinity, 1}, {off + 2, 64}, {off, 0}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        CK_ECDH1_DERIVE_PARAMS parameter = {CKD_NULL, 0, NULL, points[i].length, points[i].point};
        derive = (CK_MECHANISM){CKM_ECDH1_DERIVE, &parameter, sizeof parameter};
        WANT(p11->C_DeriveKey(session, &derive, pair[1], secret, 3, &made), CKR_PUBLIC_KEY_INVALID, CKR_MECHANISM_PARAM_INVALID);
    }
    CK_ATTRIBUTE public[] = {{CKA_CLASS, &public_class, sizeof public_class}, {CKA_KEY_TYPE, &ec_type, sizeof ec_type},
                             {CKA_TOKEN, &no, 1}, {CKA_EC_PARAMS, p256, sizeof p256}, {CKA_EC_POINT, off, sizeof off}};
    WANT(p11->C_CreateObject(session, public, 5, &made), CKR_ATTRIBUTE_VALUE_INVALID, CKR_PUBLIC_KEY_INVALID);
    CK_ATTRIBUTE private[] = {{CKA_CLASS, &private_class, sizeof private_class}, {CKA_KEY_TYPE, &ec_type, sizeof ec_type},
                              {CKA_TOKEN, &no, 1}, {CKA_EC_PARAMS, p256, sizeof p256}, {CKA_VALUE, zero, sizeof zero}};
    WANT(p11->C_CreateObject(session, private, 5, &made), CKR_ATTRIBUTE_VALUE_INVALID);

    CK_ATTRIBUTE montgomery[] = {{CKA_EC_PARAMS, x25519, sizeof x25519}};
    make.mechanism = 0x1056; /* CKM_EC_MONTGOMERY_KEY_PAIR_GEN */
    OK(p11->C_GenerateKeyPair(session, &make, montgomery, 1, derives, 1, &pair[0], &pair[1]));
    CK_BYTE *low[] = {zero, one}; /* points of small order: the shared secret would be all zero */
    for (int i = 0; i < 2; i++) {
        CK_ECDH1_DERIVE_PARAMS parameter = {CKD_NULL, 0, NULL, 32, low[i]};
        derive = (CK_MECHANISM){CKM_ECDH1_DERIVE, &parameter, sizeof parameter};
        WANT(p11->C_DeriveKey(session, &derive, pair[1], secret, 3, &made), CKR_PUBLIC_KEY_INVALID, CKR_MECHANISM_PARAM_INVALID);
    }
    CK_ATTRIBUTE wrong_type[] = {{CKA_CLASS, &private_class, sizeof private_class}, {CKA_KEY_TYPE, &x25519_type, sizeof x25519_type},
                                 {CKA_EC_PARAMS, p256, sizeof p256}, {CKA_VALUE, one, sizeof one}};
    WANT(p11->C_CreateObject(session, wrong_type, 4, &made), CKR_TEMPLATE_INCONSISTENT);
}

static void weak_rsa(void) {
    CK_MECHANISM make = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG sizes[] = {0, 512, 1024, 2047, 4097, 16384, ~0UL};
    CK_BYTE f4[] = {1, 0, 1}, three[] = {3}, even[] = {1, 0, 0}, modulus[256] = {0xff, [255] = 2};
    CK_OBJECT_HANDLE pair[2];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CK_ATTRIBUTE outside[] = {{CKA_MODULUS_BITS, &sizes[i], sizeof *sizes}, {CKA_PUBLIC_EXPONENT, f4, 3}};
        WANT(p11->C_GenerateKeyPair(session, &make, outside, 2, NULL, 0, &pair[0], &pair[1]), CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID);
    }
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE small[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_PUBLIC_EXPONENT, three, 1}};
    WANT(p11->C_GenerateKeyPair(session, &make, small, 2, NULL, 0, &pair[0], &pair[1]), CKR_ATTRIBUTE_VALUE_INVALID);
    small[1] = (CK_ATTRIBUTE){CKA_PUBLIC_EXPONENT, even, 3};
    WANT(p11->C_GenerateKeyPair(session, &make, small, 2, NULL, 0, &pair[0], &pair[1]), CKR_ATTRIBUTE_VALUE_INVALID);
    /* An even modulus, one of 1024 bits, and one of which every eighth bit is lost. */
    CK_ATTRIBUTE public[] = {{CKA_CLASS, &public_class, sizeof public_class}, {CKA_KEY_TYPE, &rsa_type, sizeof rsa_type}, {CKA_TOKEN, &no, 1},
                             {CKA_MODULUS, modulus, sizeof modulus}, {CKA_PUBLIC_EXPONENT, f4, 3}};
    WANT(p11->C_CreateObject(session, public, 5, &pair[0]), CKR_ATTRIBUTE_VALUE_INVALID);
    modulus[255] = 1, public[3].ulValueLen = 128, public[3].pValue = modulus + 128;
    modulus[128] = 0xff;
    WANT(p11->C_CreateObject(session, public, 5, &pair[0]), CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID);
}

static void copies(void) {
    CK_ATTRIBUTE extractable[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
    CK_OBJECT_HANDLE closed = generate_aes(NULL, 0), open = generate_aes(extractable, 2), copy;
    CK_ATTRIBUTE soften[] = {{CKA_SENSITIVE, &no, 1}}, leave[] = {{CKA_EXTRACTABLE, &yes, 1}}, harden[] = {{CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}};
    WANT(p11->C_CopyObject(session, closed, soften, 1, &copy), CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT);
    WANT(p11->C_CopyObject(session, closed, leave, 1, &copy), CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT);
    WANT(p11->C_SetAttributeValue(session, closed, soften, 1), CKR_ATTRIBUTE_READ_ONLY);
    WANT(p11->C_SetAttributeValue(session, closed, leave, 1), CKR_ATTRIBUTE_READ_ONLY);
    CK_BYTE value[32], again[32];
    CK_ATTRIBUTE ask = {CKA_VALUE, value, sizeof value};
    OK(p11->C_GetAttributeValue(session, open, &ask, 1));
    OK(p11->C_CopyObject(session, open, harden, 2, &copy));
    ask.pValue = again;
    WANT(p11->C_GetAttributeValue(session, copy, &ask, 1), CKR_ATTRIBUTE_SENSITIVE);
    WANT(p11->C_CopyObject(session, copy, soften, 1, &copy), CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT);
    /* A copy is the same key, and lives on its own. */
    CK_MECHANISM cmac = {CKM_AES_CMAC, NULL, 0};
    CK_BYTE one[16], two[16];
    CK_ULONG length = sizeof one;
    OK(p11->C_SignInit(session, &cmac, open));
    OK(p11->C_Sign(session, value, 32, one, &length));
    OK(p11->C_DestroyObject(session, open));
    OK(p11->C_SignInit(session, &cmac, copy));
    OK(p11->C_Sign(session, value, 32, two, &length));
    THAT(memcmp(one, two, 16) == 0);
    CK_ATTRIBUTE fixed[] = {{CKA_COPYABLE, &no, 1}, {CKA_MODIFIABLE, &no, 1}, {CKA_DESTROYABLE, &no, 1}};
    CK_OBJECT_HANDLE stone = generate_aes(fixed, 3);
    WANT(p11->C_CopyObject(session, stone, NULL, 0, &copy), CKR_ACTION_PROHIBITED);
    WANT(p11->C_SetAttributeValue(session, stone, (CK_ATTRIBUTE[]){{CKA_LABEL, value, 3}}, 1), CKR_ACTION_PROHIBITED);
    WANT(p11->C_DestroyObject(session, stone), CKR_ACTION_PROHIBITED);
    CK_ULONG size = 0;
    OK(p11->C_GetObjectSize(session, stone, &size));
    THAT(size >= 32 && size < 4096);
}

static void post_quantum(void) {
    static const CK_ULONG ciphertexts[] = {768, 1088, 1568};
    for (CK_ULONG set = 1; set <= 3; set++) {
        CK_MECHANISM make = {0xf, NULL, 0}, kem = {0x17, NULL, 0}; /* CKM_ML_KEM_KEY_PAIR_GEN, CKM_ML_KEM */
        CK_ATTRIBUTE public[] = {{0x61d, &set, sizeof set}, {CKA_TOKEN, &no, 1}}; /* CKA_PARAMETER_SET */
        CK_OBJECT_HANDLE pair[2], ours, theirs;
        OK(p11->C_GenerateKeyPair(session, &make, public, 2, public + 1, 1, &pair[0], &pair[1]));
        CK_ATTRIBUTE shared[] = {{CKA_CLASS, &secret_class, sizeof secret_class}, {CKA_KEY_TYPE, &generic_type, sizeof generic_type},
                                 {CKA_TOKEN, &no, 1}, {CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
        CK_BYTE ciphertext[1568], one[32], two[32];
        CK_ULONG length = 0;
        OK(more->C_EncapsulateKey(session, &kem, pair[0], shared, 5, NULL, &length, &ours));
        THAT(length == ciphertexts[set - 1]);
        length--;
        WANT(more->C_EncapsulateKey(session, &kem, pair[0], shared, 5, ciphertext, &length, &ours), CKR_BUFFER_TOO_SMALL);
        OK(more->C_EncapsulateKey(session, &kem, pair[0], shared, 5, ciphertext, &length, &ours));
        OK(more->C_DecapsulateKey(session, &kem, pair[1], shared, 5, ciphertext, length, &theirs));
        CK_ATTRIBUTE ask[] = {{CKA_VALUE, one, 32}};
        OK(p11->C_GetAttributeValue(session, ours, ask, 1));
        ask[0].pValue = two;
        OK(p11->C_GetAttributeValue(session, theirs, ask, 1));
        THAT(memcmp(one, two, 32) == 0);
        /* A damaged ciphertext gives another secret, and says nothing; one of another length is none. */
        ciphertext[9] ^= 1;
        OK(more->C_DecapsulateKey(session, &kem, pair[1], shared, 5, ciphertext, length, &theirs));
        OK(p11->C_GetAttributeValue(session, theirs, ask, 1));
        THAT(memcmp(one, two, 32) != 0);
        WANT(more->C_DecapsulateKey(session, &kem, pair[1], shared, 5, ciphertext, length - 1, &theirs), CKR_WRAPPED_KEY_LEN_RANGE);
        WANT(more->C_DecapsulateKey(session, &kem, pair[0], shared, 5, ciphertext, length, &theirs), CKR_KEY_TYPE_INCONSISTENT,
             CKR_KEY_FUNCTION_NOT_PERMITTED);

        make.mechanism = 0x1c; /* CKM_ML_DSA_KEY_PAIR_GEN */
        OK(p11->C_GenerateKeyPair(session, &make, public, 2, public + 1, 1, &pair[0], &pair[1]));
        struct { CK_ULONG hedge; CK_BYTE *context; CK_ULONG length; } with = {0, (CK_BYTE *)"orders", 6}, other = {0, (CK_BYTE *)"refunds", 7},
                                                                       huge = {0, one, 256};
        CK_MECHANISM plain = {0x1d, NULL, 0}, named = {0x1d, &with, sizeof with}, misnamed = {0x1d, &other, sizeof other};
        static CK_BYTE signature[5000], text[] = "one hundred pieces";
        length = sizeof signature;
        OK(p11->C_SignInit(session, &named, pair[1]));
        OK(p11->C_SignUpdate(session, text, 5));
        OK(p11->C_SignUpdate(session, text + 5, sizeof text - 5));
        OK(p11->C_SignFinal(session, signature, &length));
        OK(p11->C_VerifyInit(session, &named, pair[0]));
        OK(p11->C_Verify(session, text, sizeof text, signature, length));
        OK(p11->C_VerifyInit(session, &misnamed, pair[0]));
        WANT(p11->C_Verify(session, text, sizeof text, signature, length), CKR_SIGNATURE_INVALID);
        OK(p11->C_VerifyInit(session, &plain, pair[0]));
        WANT(p11->C_Verify(session, text, sizeof text, signature, length), CKR_SIGNATURE_INVALID);
        /* 255 bytes of context are the most (FIPS 204, algorithm 2). */
        CK_MECHANISM too_long = {0x1d, &huge, sizeof huge};
        static CK_BYTE context[256];
        huge.context = context;
        CK_RV code = p11->C_SignInit(session, &too_long, pair[1]);
        if (code == CKR_OK)
            code = p11->C_Sign(session, text, sizeof text, signature, &length);
        WANT(code, CKR_MECHANISM_PARAM_INVALID);
    }
}

static void searches(void) {
    enum { MANY = 300 };
    CK_BYTE label[] = "one of many";
    CK_OBJECT_CLASS data = CKO_DATA;
    CK_OBJECT_HANDLE made[MANY], found[MANY + 10];
    for (CK_ULONG i = 0; i < MANY; i++) {
        CK_ATTRIBUTE template[] = {{CKA_CLASS, &data, sizeof data}, {CKA_TOKEN, i % 2 ? &yes : &no, 1}, {CKA_LABEL, label, sizeof label},
                                   {CKA_VALUE, &i, sizeof i}};
        OK(p11->C_CreateObject(session, template, 4, &made[i]));
    }
    CK_ATTRIBUTE by_label[] = {{CKA_LABEL, label, sizeof label}};
    static const CK_ULONG pages[] = {1, 7, 16, 17, MANY - 1, MANY, MANY + 10};
    for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
        CK_ULONG all = 0, count;
        OK(p11->C_FindObjectsInit(session, by_label, 1));
        do {
            CK_ULONG room = pages[p] < MANY + 10 - all ? pages[p] : MANY + 10 - all;
            OK(p11->C_FindObjects(session, found + all, room, &count));
            THAT(count <= room);
            all += count;
        } while (count > 0 && all < MANY + 10);
        OK(p11->C_FindObjectsFinal(session));
        THAT(all == MANY);
        CK_ULONG known = 0; /* each once */
        for (CK_ULONG i = 0; i < MANY; i++)
            for (CK_ULONG j = 0; j < MANY; j++)
                known += made[i] == found[j];
        THAT(known == MANY);
    }
    for (CK_ULONG i = 0; i < MANY; i++)
        OK(p11->C_DestroyObject(session, made[i]));
}

int main(void) {
    void *library;
    p11 = load(&library);
    CK_C_GetInterface get;
    *(void **)&get = dlsym(library, "C_GetInterface");
    CK_VERSION version = {3, 2};
    CK_INTERFACE_PTR interface;
    OK(get(NULL, &version, &interface, 0));
    more = &((struct function_list_3_2 *)interface->pFunctionList)->more;
    OK(initialize(p11));
    session = open_session(p11);
    OK(log_in(p11, session));
    keys_that_must_not_leave();
    only_what_the_template_allows();
    points_that_are_none();
    weak_rsa();
    copies();
    post_quantum();
    searches();
    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("keys");
}
