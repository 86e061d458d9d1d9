/* Every family in parts of odd sizes gives what it gives at once, and a buffer that is too small costs nothing:
 * the length is told, the operation goes on. Then GCM by messages, whose IV the module makes. */
#include "abi.h"

static struct CK_FUNCTION_LIST_3_0 *p11;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE aes, hmac, ec[2], rsa[2], edwards[2];
enum { DATA = 331, ROOM = 1024 };
#ifndef CKR_AEAD_DECRYPT_FAILED /* an old header of NSS lacks it */
#define CKR_AEAD_DECRYPT_FAILED 0x42UL
#endif
static CK_BYTE data[DATA], iv[16] = {7}, aad[5] = {9};

typedef CK_RV (*init_keyed)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
typedef CK_RV (*once)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
typedef CK_RV (*last)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG *);

static const CK_ULONG sizes[] = {1, 3, 0, 15, 16, 17, 64, 5, 100};

static CK_ULONG next_size(size_t turn, CK_ULONG left) {
    CK_ULONG size = sizes[turn % (sizeof sizes / sizeof *sizes)];
    return size < left ? size : left;
}

/* At once, with a query of the length and a buffer that is one byte too small before. */
static CK_ULONG at_once(init_keyed init, once whole, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG bytes,
                        CK_BYTE *out) {
    CK_ULONG needed = 0, length;
    OK(init(session, mechanism, key));
    OK(whole(session, in, bytes, NULL, &needed));
    THAT(needed > 0 && needed <= ROOM);
    length = 0;
    WANT(whole(session, in, bytes, out, &length), CKR_BUFFER_TOO_SMALL);
    CK_ULONG exact = length;
    length = exact - 1;
    WANT(whole(session, in, bytes, out, &length), CKR_BUFFER_TOO_SMALL);
    THAT(length == exact);
    OK(whole(session, in, bytes, out, &length));
    WANT(whole(session, in, bytes, out, &length), CKR_OPERATION_NOT_INITIALIZED);
    return length;
}

static CK_ULONG in_parts(init_keyed init, once part, last end, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *in,
                         CK_ULONG bytes, CK_BYTE *out) {
    CK_ULONG written = 0, length, needed;
    OK(init(session, mechanism, key));
    size_t turn = 0;
    for (CK_ULONG at = 0, size; at < bytes; at += size, turn++) {
        size = next_size(turn, bytes - at);
        needed = 0;
        OK(part(session, in + at, size, NULL, &needed));
        if (needed > 0) {
            length = needed - 1;
            WANT(part(session, in + at, size, out + written, &length), CKR_BUFFER_TOO_SMALL, CKR_OK);
            if (length == needed) { /* it was too small, and cost nothing */
                OK(part(session, in + at, size, out + written, &length));
            }
        } else {
            length = ROOM - written;
            OK(part(session, in + at, size, out + written, &length));
        }
        written += length;
    }
    needed = 0;
    OK(end(session, NULL, &needed));
    if (needed > 0) {
        length = 0;
        CK_RV code = end(session, out + written, &length);
        if (code == CKR_OK)
            return written + length;
        WANT(code, CKR_BUFFER_TOO_SMALL);
        THAT(length > 0);
    }
    length = ROOM - written;
    OK(end(session, out + written, &length));
    WANT(end(session, out + written, &length), CKR_OPERATION_NOT_INITIALIZED);
    return written + length;
}

static void cipher(CK_MECHANISM_TYPE type, void *parameter, CK_ULONG size, CK_ULONG bytes) {
    CK_MECHANISM mechanism = {type, parameter, size};
    CK_BYTE whole[ROOM], parts[ROOM], opened[ROOM];
    CK_ULONG one = at_once(p11->C_EncryptInit, p11->C_Encrypt, &mechanism, aes, data, bytes, whole);
    CK_ULONG two = in_parts(p11->C_EncryptInit, p11->C_EncryptUpdate, p11->C_EncryptFinal, &mechanism, aes, data, bytes, parts);
    THAT(one == two && memcmp(whole, parts, one) == 0);
    one = at_once(p11->C_DecryptInit, p11->C_Decrypt, &mechanism, aes, whole, one, opened);
    THAT(one == bytes && memcmp(opened, data, bytes) == 0);
    two = in_parts(p11->C_DecryptInit, p11->C_DecryptUpdate, p11->C_DecryptFinal, &mechanism, aes, parts, two, opened);
    THAT(two == bytes && memcmp(opened, data, bytes) == 0);
}

static void ciphers(void) {
    CK_AES_CTR_PARAMS counter = {128, {1}};
    CK_GCM_PARAMS gcm = {iv, 12, 96, aad, sizeof aad, 128};
    cipher(CKM_AES_ECB, NULL, 0, 320);
    cipher(CKM_AES_CBC, iv, 16, 320);
    cipher(CKM_AES_CBC_PAD, iv, 16, DATA);
    cipher(CKM_AES_CBC_PAD, iv, 16, 320);
    cipher(CKM_AES_CTR, &counter, sizeof counter, DATA);
    cipher(CKM_AES_GCM, &gcm, sizeof gcm, DATA);

    /* Damaged: nothing of it is shown. */
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    CK_BYTE sealed[ROOM], opened[ROOM];
    CK_ULONG length = sizeof sealed, room;
    OK(p11->C_EncryptInit(session, &mechanism, aes));
    OK(p11->C_Encrypt(session, data, DATA, sealed, &length));
    for (CK_ULONG at = 0; at < length; at += 29) {
        sealed[at] ^= 1;
        memset(opened, 0x55, sizeof opened);
        room = sizeof opened;
        OK(p11->C_DecryptInit(session, &mechanism, aes));
        WANT(p11->C_Decrypt(session, sealed, length, opened, &room), CKR_ENCRYPTED_DATA_INVALID);
        THAT(opened[0] == 0x55 && opened[DATA - 1] == 0x55);
        sealed[at] ^= 1;
    }
    room = sizeof opened;
    OK(p11->C_DecryptInit(session, &mechanism, aes));
    WANT(p11->C_Decrypt(session, sealed, 15, opened, &room), CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE);
    mechanism = (CK_MECHANISM){CKM_AES_CBC, iv, 16};
    room = sizeof opened;
    OK(p11->C_EncryptInit(session, &mechanism, aes));
    WANT(p11->C_Encrypt(session, data, 17, opened, &room), CKR_DATA_LEN_RANGE);
    OK(p11->C_EncryptInit(session, &mechanism, aes));
    OK(p11->C_EncryptUpdate(session, data, 17, opened, &room));
    room = sizeof opened;
    WANT(p11->C_EncryptFinal(session, opened, &room), CKR_DATA_LEN_RANGE);
}

static CK_RV verify_in_parts(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *signature, CK_ULONG length) {
    OK(p11->C_VerifyInit(session, mechanism, key));
    size_t turn = 0;
    for (CK_ULONG at = 0, size; at < DATA; at += size, turn++) {
        size = next_size(turn, DATA - at);
        OK(p11->C_VerifyUpdate(session, data + at, size));
    }
    return p11->C_VerifyFinal(session, signature, length);
}

/* Signs at once and in parts; each is verified the other way, for not all signatures are the same twice. */
static void signature(CK_MECHANISM_TYPE type, void *parameter, CK_ULONG size, CK_OBJECT_HANDLE private, CK_OBJECT_HANDLE public) {
    CK_MECHANISM mechanism = {type, parameter, size};
    CK_BYTE whole[ROOM], parts[ROOM];
    CK_ULONG one = at_once(p11->C_SignInit, p11->C_Sign, &mechanism, private, data, DATA, whole);
    OK(p11->C_SignInit(session, &mechanism, private));
    size_t turn = 0;
    for (CK_ULONG at = 0, bytes; at < DATA; at += bytes, turn++) {
        bytes = next_size(turn, DATA - at);
        OK(p11->C_SignUpdate(session, data + at, bytes));
    }
    CK_ULONG two = 0;
    OK(p11->C_SignFinal(session, NULL, &two));
    THAT(two == one);
    two = one - 1;
    WANT(p11->C_SignFinal(session, parts, &two), CKR_BUFFER_TOO_SMALL);
    OK(p11->C_SignFinal(session, parts, &two));
    WANT(p11->C_SignUpdate(session, data, 1), CKR_OPERATION_NOT_INITIALIZED);
    OK(verify_in_parts(&mechanism, public, whole, one));
    OK(p11->C_VerifyInit(session, &mechanism, public));
    OK(p11->C_Verify(session, data, DATA, parts, two));
    parts[two / 2] ^= 1;
    WANT(verify_in_parts(&mechanism, public, parts, two), CKR_SIGNATURE_INVALID);
    WANT(verify_in_parts(&mechanism, public, parts, two - 1), CKR_SIGNATURE_LEN_RANGE, CKR_SIGNATURE_INVALID);
}

static void signatures(void) {
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA384, CKG_MGF1_SHA384, 48};
    CK_ULONG cut = 9;
    signature(CKM_SHA256_HMAC, NULL, 0, hmac, hmac);
    signature(CKM_SHA512_HMAC_GENERAL, &cut, sizeof cut, hmac, hmac);
    signature(CKM_AES_CMAC, NULL, 0, aes, aes);
    signature(CKM_AES_CMAC_GENERAL, &cut, sizeof cut, aes, aes);
    signature(CKM_ECDSA_SHA256, NULL, 0, ec[1], ec[0]);
    signature(CKM_ECDSA_SHA512, NULL, 0, ec[1], ec[0]);
    signature(CKM_SHA256_RSA_PKCS, NULL, 0, rsa[1], rsa[0]);
    signature(CKM_SHA384_RSA_PKCS_PSS, &pss, sizeof pss, rsa[1], rsa[0]);
    signature(CKM_EDDSA, NULL, 0, edwards[1], edwards[0]);
}

static void digests(void) {
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384, CKM_SHA512, 0x2b0 /* SHA3-256 */};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        CK_MECHANISM mechanism = {types[t], NULL, 0};
        CK_BYTE whole[64], parts[64];
        CK_ULONG one = 0, two = 0, room;
        OK(p11->C_DigestInit(session, &mechanism));
        OK(p11->C_Digest(session, data, DATA, NULL, &one));
        room = one - 1;
        WANT(p11->C_Digest(session, data, DATA, whole, &room), CKR_BUFFER_TOO_SMALL);
        OK(p11->C_Digest(session, data, DATA, whole, &room));
        OK(p11->C_DigestInit(session, &mechanism));
        size_t turn = 0;
        for (CK_ULONG at = 0, size; at < DATA; at += size, turn++) {
            size = next_size(turn, DATA - at);
            OK(p11->C_DigestUpdate(session, data + at, size));
        }
        WANT(p11->C_DigestFinal(session, parts, &two), CKR_BUFFER_TOO_SMALL);
        THAT(two == one);
        OK(p11->C_DigestFinal(session, parts, &two));
        THAT(memcmp(whole, parts, one) == 0);
    }
}

/* A key whose value may be seen is digested as its bytes are; one that is sensitive is not, for a short one would be found. */
static void digest_of_a_key(void) {
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &secret, sizeof secret}, {CKA_KEY_TYPE, &generic, sizeof generic}, {CKA_TOKEN, &no, 1},
                               {CKA_VALUE, data, 20}, {CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
    CK_OBJECT_HANDLE open, closed;
    OK(p11->C_CreateObject(session, template, 6, &open));
    template[5].pValue = &yes;
    OK(p11->C_CreateObject(session, template, 6, &closed));
    CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};
    CK_BYTE by_key[32], by_bytes[32];
    CK_ULONG length = 32;
    OK(p11->C_DigestInit(session, &sha256));
    OK(p11->C_DigestUpdate(session, data + 20, 11));
    OK(p11->C_DigestKey(session, open));
    OK(p11->C_DigestFinal(session, by_key, &length));
    OK(p11->C_DigestInit(session, &sha256));
    OK(p11->C_DigestUpdate(session, data + 20, 11));
    OK(p11->C_DigestUpdate(session, data, 20));
    OK(p11->C_DigestFinal(session, by_bytes, &length));
    THAT(memcmp(by_key, by_bytes, 32) == 0);
    OK(p11->C_DigestInit(session, &sha256));
    WANT(p11->C_DigestKey(session, closed), CKR_KEY_INDIGESTIBLE);
    WANT(p11->C_DigestKey(session, open), CKR_OPERATION_NOT_INITIALIZED);
}

static void messages(void) {
    CK_MECHANISM gcm = {CKM_AES_GCM, NULL, 0};
    CK_BYTE made[12] = {0}, before[12], tag[16], sealed[DATA], opened[DATA];
    CK_GCM_MESSAGE_PARAMS parameter = {made, sizeof made, 0, CKG_GENERATE, tag, 128};
    CK_ULONG length;
    OK(p11->C_MessageEncryptInit(session, &gcm, aes));
    WANT(p11->C_MessageEncryptInit(session, &gcm, aes), CKR_OPERATION_ACTIVE);
    for (int message = 0; message < 3; message++) {
        memcpy(before, made, sizeof made);
        length = DATA - 1;
        WANT(p11->C_EncryptMessage(session, &parameter, sizeof parameter, aad, sizeof aad, data, DATA, sealed, &length),
             CKR_BUFFER_TOO_SMALL);
        THAT(length == DATA && memcmp(before, made, sizeof made) == 0);
        OK(p11->C_EncryptMessage(session, &parameter, sizeof parameter, aad, sizeof aad, data, DATA, sealed, &length));
        THAT(memcmp(before, made, sizeof made) != 0); /* a new IV for each message */
    }
    OK(p11->C_MessageEncryptFinal(session));
    WANT(p11->C_MessageEncryptFinal(session), CKR_OPERATION_NOT_INITIALIZED);
    OK(p11->C_MessageDecryptInit(session, &gcm, aes));
    parameter.ivGenerator = CKG_NO_GENERATE;
    length = DATA;
    OK(p11->C_DecryptMessage(session, &parameter, sizeof parameter, aad, sizeof aad, sealed, DATA, opened, &length));
    THAT(length == DATA && memcmp(opened, data, DATA) == 0);
    tag[3] ^= 1;
    WANT(p11->C_DecryptMessage(session, &parameter, sizeof parameter, aad, sizeof aad, sealed, DATA, opened, &length),
         CKR_AEAD_DECRYPT_FAILED);
    tag[3] ^= 1; /* one message that is not authentic does not end the others */
    OK(p11->C_DecryptMessage(session, &parameter, sizeof parameter, aad, sizeof aad, sealed, DATA, opened, &length));
    WANT(p11->C_DecryptMessage(session, &parameter, 3, aad, sizeof aad, sealed, DATA, opened, &length), CKR_MECHANISM_PARAM_INVALID);
    OK(p11->C_MessageDecryptFinal(session));
}

static void make_keys(void) {
    static CK_BYTE ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70}, exponent[] = {1, 0, 1};
    CK_ULONG length = 32, bits = 2048;
    CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE secret[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &no, 1}};
    OK(p11->C_GenerateKey(session, &make, secret, 2, &aes));
    make.mechanism = CKM_GENERIC_SECRET_KEY_GEN;
    OK(p11->C_GenerateKey(session, &make, secret, 2, &hmac));
    make_pair(p11, session, &ec[0], &ec[1]);
    CK_ATTRIBUTE outside[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_PUBLIC_EXPONENT, exponent, 3}, {CKA_TOKEN, &no, 1}};
    make.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
    OK(p11->C_GenerateKeyPair(session, &make, outside, 3, secret + 1, 1, &rsa[0], &rsa[1]));
    CK_ATTRIBUTE curve[] = {{CKA_EC_PARAMS, ed25519, sizeof ed25519}, {CKA_TOKEN, &no, 1}};
    make.mechanism = 0x1055; /* CKM_EC_EDWARDS_KEY_PAIR_GEN */
    OK(p11->C_GenerateKeyPair(session, &make, curve, 2, secret + 1, 1, &edwards[0], &edwards[1]));
}

int main(void) {
    void *library;
    p11 = load(&library);
    OK(initialize(p11));
    session = open_session(p11);
    OK(log_in(p11, session));
    for (int i = 0; i < DATA; i++)
        data[i] = (CK_BYTE)(i * 7);
    make_keys();
    ciphers();
    signatures();
    digests();
    digest_of_a_key();
    messages();
    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("parts");
}
