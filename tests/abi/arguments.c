/* NULL where a pointer must be, impossible lengths and foreign handles, at the functions of 2.40, 3.0 and 3.2:
 * each is refused by a code that names the cause, and the session works afterwards. */
#include "abi.h"

static struct CK_FUNCTION_LIST_3_0 *p11;
static struct additions_3_2 *more;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE public_key, private_key, aes_key;
static CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0}, sha256 = {CKM_SHA256, NULL, 0}, unknown = {0x7ffffff0, NULL, 0};
static CK_BYTE iv[16], buffer[4096];
static CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv};

#define BAD CKR_ARGUMENTS_BAD
#define HUGE_LENGTH (~0UL)
#define NO_SESSION ((CK_SESSION_HANDLE)0x7ffffffffff1)
#define NO_OBJECT ((CK_OBJECT_HANDLE)0x7ffffffffff1)

static void general(void) {
    CK_INFO info;
    CK_SLOT_ID slot = first_slot(p11), nowhere = 0x7ffffff1;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token_info;
    CK_MECHANISM_INFO mechanism_info;
    CK_ULONG count = 0;
    WANT(initialize(p11), CKR_CRYPTOKI_ALREADY_INITIALIZED);
    WANT(p11->C_Finalize(&info), BAD);
    WANT(p11->C_GetInfo(NULL), BAD);
    OK(p11->C_GetInfo(&info));
    WANT(p11->C_GetSlotList(CK_TRUE, NULL, NULL), BAD);
    WANT(p11->C_GetSlotList(CK_TRUE, &slot, &count), CKR_BUFFER_TOO_SMALL);
    THAT(count >= 1);
    WANT(p11->C_GetSlotInfo(slot, NULL), BAD);
    WANT(p11->C_GetSlotInfo(nowhere, &slot_info), CKR_SLOT_ID_INVALID);
    WANT(p11->C_GetTokenInfo(slot, NULL), BAD);
    WANT(p11->C_GetTokenInfo(nowhere, &token_info), CKR_SLOT_ID_INVALID);
    OK(p11->C_GetTokenInfo(slot, &token_info));
    for (size_t i = 0; i < sizeof token_info.label; i++) /* padded with blanks, never a NUL */
        THAT(token_info.label[i] != 0);
    WANT(p11->C_GetMechanismList(slot, NULL, NULL), BAD);
    WANT(p11->C_GetMechanismList(nowhere, NULL, &count), CKR_SLOT_ID_INVALID);
    OK(p11->C_GetMechanismList(slot, NULL, &count));
    THAT(count > 40 && count * sizeof(CK_MECHANISM_TYPE) <= sizeof buffer);
    CK_ULONG all = count;
    count = all - 1;
    WANT(p11->C_GetMechanismList(slot, (CK_MECHANISM_TYPE *)(void *)buffer, &count), CKR_BUFFER_TOO_SMALL);
    THAT(count == all);
    WANT(p11->C_GetMechanismInfo(slot, CKM_ECDSA, NULL), BAD);
    WANT(p11->C_GetMechanismInfo(slot, unknown.mechanism, &mechanism_info), CKR_MECHANISM_INVALID);
    WANT(p11->C_GetFunctionList(NULL), BAD);
    WANT(p11->C_GetFunctionStatus(session), CKR_FUNCTION_NOT_PARALLEL);
    WANT(p11->C_CancelFunction(session), CKR_FUNCTION_NOT_PARALLEL);
    WANT(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, NULL, NULL), BAD, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(p11->C_InitToken(slot, buffer, 8, buffer), CKR_FUNCTION_NOT_SUPPORTED, CKR_SESSION_EXISTS);
    WANT(p11->C_InitPIN(session, buffer, 8), CKR_FUNCTION_NOT_SUPPORTED, CKR_USER_NOT_LOGGED_IN);
}

static void sessions(void) {
    CK_SLOT_ID slot = first_slot(p11);
    CK_SESSION_HANDLE other;
    CK_SESSION_INFO info;
    CK_UTF8CHAR *pin = (CK_UTF8CHAR *)from_environment("PIN");
    CK_ULONG length = strlen((char *)pin);
    WANT(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, NULL), BAD);
    WANT(p11->C_OpenSession(slot, 0, NULL, NULL, &other), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
    WANT(p11->C_OpenSession(0x7ffffff1, CKF_SERIAL_SESSION, NULL, NULL, &other), CKR_SLOT_ID_INVALID);
    WANT(p11->C_CloseSession(NO_SESSION), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_CloseSession(0), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_CloseAllSessions(0x7ffffff1), CKR_SLOT_ID_INVALID);
    WANT(p11->C_GetSessionInfo(session, NULL), BAD);
    WANT(p11->C_GetSessionInfo(NO_SESSION, &info), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_Login(NO_SESSION, CKU_USER, pin, length), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_Login(session, CKU_USER, NULL, 5), BAD, CKR_PIN_INCORRECT);
    WANT(p11->C_Login(session, CKU_USER, NULL, 0), BAD, CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE);
    WANT(p11->C_Login(session, CKU_USER, pin, 0), CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE);
    WANT(p11->C_Login(session, 77, pin, length), CKR_USER_TYPE_INVALID);
    WANT(p11->C_Login(session, CKU_SO, pin, length), CKR_USER_TYPE_INVALID, CKR_FUNCTION_NOT_SUPPORTED, CKR_PIN_INCORRECT);
    memset(buffer, 'x', sizeof buffer);
    WANT(p11->C_Login(session, CKU_USER, buffer, sizeof buffer), CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE);
    memset(buffer, 0xff, 64); /* not UTF-8 */
    WANT(p11->C_Login(session, CKU_USER, buffer, 64), CKR_PIN_INCORRECT, CKR_PIN_INVALID, BAD);
    WANT(p11->C_Logout(session), CKR_USER_NOT_LOGGED_IN);
    WANT(p11->C_Logout(NO_SESSION), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_SetPIN(session, NULL, 9, NULL, 9), BAD, CKR_PIN_INCORRECT, CKR_USER_NOT_LOGGED_IN);
    OK(log_in(p11, session));
    WANT(log_in(p11, session), CKR_USER_ALREADY_LOGGED_IN);
    CK_ULONG state = 0;
    WANT(p11->C_GetOperationState(session, NULL, NULL), BAD, CKR_FUNCTION_NOT_SUPPORTED, CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_GetOperationState(session, NULL, &state), CKR_OPERATION_NOT_INITIALIZED, CKR_FUNCTION_NOT_SUPPORTED,
         CKR_STATE_UNSAVEABLE);
    WANT(p11->C_SetOperationState(session, NULL, 7, 0, 0), BAD, CKR_SAVED_STATE_INVALID, CKR_FUNCTION_NOT_SUPPORTED);
}

static void signing(void) {
    CK_BYTE signature[64];
    CK_ULONG length = 0;
    WANT(p11->C_SignInit(NO_SESSION, &ecdsa, private_key), CKR_SESSION_HANDLE_INVALID);
    /* NULL for the mechanism cancels in 3.0; with nothing begun it may also be refused. */
    WANT(p11->C_SignInit(session, NULL, private_key), BAD, CKR_OK, CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_SignInit(session, &unknown, private_key), CKR_MECHANISM_INVALID);
    WANT(p11->C_SignInit(session, &sha256, private_key), CKR_MECHANISM_INVALID);
    WANT(p11->C_SignInit(session, &ecdsa, NO_OBJECT), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_SignInit(session, &ecdsa, 0), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_SignInit(session, &ecdsa, aes_key), CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED);
    WANT(p11->C_SignInit(session, &ecdsa, public_key), CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
         CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_Sign(session, buffer, 32, signature, &length), CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_SignUpdate(session, buffer, 32), CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_SignFinal(session, signature, &length), CKR_OPERATION_NOT_INITIALIZED);

    OK(p11->C_SignInit(session, &ecdsa, private_key));
    WANT(p11->C_SignInit(session, &ecdsa, private_key), CKR_OPERATION_ACTIVE);
    /* Asking for the length leaves the operation as it was, and so does a buffer that is too small. */
    OK(p11->C_Sign(session, buffer, 32, NULL, &length));
    THAT(length == 64);
    length = 63;
    WANT(p11->C_Sign(session, buffer, 32, signature, &length), CKR_BUFFER_TOO_SMALL);
    THAT(length == 64);
    OK(p11->C_Sign(session, buffer, 32, signature, &length));
    OK(verify(p11, session, public_key, buffer, signature));

    OK(p11->C_SignInit(session, &ecdsa, private_key));
    WANT(p11->C_Sign(session, NULL, 32, signature, &length), BAD);
    WANT(p11->C_Sign(session, buffer, 32, signature, &length), CKR_OPERATION_NOT_INITIALIZED);
    OK(p11->C_SignInit(session, &ecdsa, private_key));
    WANT(p11->C_Sign(session, buffer, 32, signature, NULL), BAD);
    OK(p11->C_SignInit(session, &ecdsa, private_key));
    WANT(p11->C_Sign(session, buffer, HUGE_LENGTH, signature, &length), BAD, CKR_DATA_LEN_RANGE);

    CK_MECHANISM verifying = ecdsa;
    OK(p11->C_VerifyInit(session, &verifying, public_key));
    WANT(p11->C_Verify(session, buffer, 32, signature, 63), CKR_SIGNATURE_LEN_RANGE);
    OK(p11->C_VerifyInit(session, &verifying, public_key));
    WANT(p11->C_Verify(session, buffer, 32, NULL, 64), BAD);
    OK(p11->C_VerifyInit(session, &verifying, public_key));
    memset(signature, 0, sizeof signature);
    WANT(p11->C_Verify(session, buffer, 32, signature, 64), CKR_SIGNATURE_INVALID);
    WANT(p11->C_Verify(session, buffer, 32, signature, 64), CKR_OPERATION_NOT_INITIALIZED);
}

static void ciphers(void) {
    CK_ULONG length = sizeof buffer;
    CK_MECHANISM short_iv = {CKM_AES_CBC_PAD, iv, 15}, no_iv = {CKM_AES_CBC_PAD, NULL, 0}, lost = {CKM_AES_CBC_PAD, NULL, 16};
    WANT(p11->C_EncryptInit(session, &short_iv, aes_key), CKR_MECHANISM_PARAM_INVALID);
    WANT(p11->C_EncryptInit(session, &no_iv, aes_key), CKR_MECHANISM_PARAM_INVALID);
    WANT(p11->C_EncryptInit(session, &lost, aes_key), CKR_MECHANISM_PARAM_INVALID, BAD);
    CK_GCM_PARAMS gcm = {.pIv = NULL, .ulIvLen = HUGE_LENGTH, .pAAD = NULL, .ulAADLen = HUGE_LENGTH, .ulTagBits = 4096};
    CK_MECHANISM bad_gcm = {CKM_AES_GCM, &gcm, sizeof gcm}, cut_gcm = {CKM_AES_GCM, &gcm, 3};
    WANT(p11->C_EncryptInit(session, &bad_gcm, aes_key), CKR_MECHANISM_PARAM_INVALID, BAD);
    WANT(p11->C_EncryptInit(session, &cut_gcm, aes_key), CKR_MECHANISM_PARAM_INVALID);
    WANT(p11->C_EncryptInit(session, &cbc, private_key), CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED);
    WANT(p11->C_Encrypt(session, buffer, 1, buffer, &length), CKR_OPERATION_NOT_INITIALIZED);
    OK(p11->C_EncryptInit(session, &cbc, aes_key));
    WANT(p11->C_Encrypt(session, NULL, 5, buffer, &length), BAD);
    OK(p11->C_EncryptInit(session, &cbc, aes_key));
    WANT(p11->C_EncryptUpdate(session, buffer, 5, buffer, NULL), BAD);
    WANT(p11->C_EncryptFinal(session, buffer, &length), CKR_OPERATION_NOT_INITIALIZED);

    CK_BYTE text[32] = "thirty-one bytes of clear text.", sealed[48], opened[48];
    length = 0;
    OK(p11->C_EncryptInit(session, &cbc, aes_key));
    OK(p11->C_Encrypt(session, text, 31, NULL, &length));
    THAT(length >= 32);
    length = 31;
    WANT(p11->C_Encrypt(session, text, 31, sealed, &length), CKR_BUFFER_TOO_SMALL);
    length = sizeof sealed;
    OK(p11->C_Encrypt(session, text, 31, sealed, &length));
    THAT(length == 32);
    OK(p11->C_DecryptInit(session, &cbc, aes_key));
    length = sizeof opened;
    WANT(p11->C_Decrypt(session, sealed, 17, opened, &length), CKR_ENCRYPTED_DATA_LEN_RANGE);
    OK(p11->C_DecryptInit(session, &cbc, aes_key));
    length = sizeof opened;
    OK(p11->C_Decrypt(session, sealed, 32, opened, &length));
    THAT(length == 31 && memcmp(opened, text, 31) == 0);
    WANT(p11->C_DecryptUpdate(session, sealed, 32, opened, &length), CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_DecryptFinal(session, opened, &length), CKR_OPERATION_NOT_INITIALIZED);
}

static void digests(void) {
    CK_BYTE hash[32];
    CK_ULONG length = sizeof hash;
    WANT(p11->C_DigestInit(session, &ecdsa), CKR_MECHANISM_INVALID);
    WANT(p11->C_Digest(session, buffer, 1, hash, &length), CKR_OPERATION_NOT_INITIALIZED);
    OK(p11->C_DigestInit(session, &sha256));
    WANT(p11->C_DigestInit(session, &sha256), CKR_OPERATION_ACTIVE);
    OK(p11->C_DigestUpdate(session, (CK_BYTE *)"a", 1));
    OK(p11->C_DigestUpdate(session, NULL, 0));
    length = 31;
    WANT(p11->C_DigestFinal(session, hash, &length), CKR_BUFFER_TOO_SMALL);
    THAT(length == 32);
    OK(p11->C_DigestFinal(session, hash, &length));
    THAT(hash[0] == 0xca && hash[31] == 0xbb); /* SHA-256("a") */
    OK(p11->C_DigestInit(session, &sha256));
    WANT(p11->C_DigestUpdate(session, NULL, 1), BAD);
    WANT(p11->C_DigestKey(session, NO_OBJECT), CKR_KEY_HANDLE_INVALID, CKR_OPERATION_NOT_INITIALIZED,
         CKR_FUNCTION_NOT_SUPPORTED, CKR_KEY_INDIGESTIBLE);
    WANT(p11->C_GenerateRandom(session, NULL, 8), BAD);
    WANT(p11->C_GenerateRandom(NO_SESSION, buffer, 8), CKR_SESSION_HANDLE_INVALID);
    WANT(p11->C_SeedRandom(session, NULL, 8), BAD, CKR_RANDOM_SEED_NOT_SUPPORTED);
}

static void objects(void) {
    CK_OBJECT_CLASS data = CKO_DATA, impossible = 0x7ffffff1;
    CK_OBJECT_HANDLE object;
    CK_ATTRIBUTE good[] = {{CKA_CLASS, &data, sizeof data}, {CKA_TOKEN, &no, 1}, {CKA_VALUE, "abc", 3}};
    CK_ATTRIBUTE no_class[] = {{CKA_TOKEN, &no, 1}};
    CK_ATTRIBUTE wrong_class[] = {{CKA_CLASS, &impossible, sizeof impossible}};
    CK_ATTRIBUTE cut[] = {{CKA_CLASS, &data, 3}};
    CK_ATTRIBUTE lost[] = {{CKA_CLASS, &data, sizeof data}, {CKA_VALUE, NULL, 3}};
    CK_ATTRIBUTE huge[] = {{CKA_CLASS, &data, sizeof data}, {CKA_VALUE, "abc", HUGE_LENGTH - 7}};
    CK_ATTRIBUTE alien[] = {{CKA_CLASS, &data, sizeof data}, {0x7ffffff1, "abc", 3}};
    CK_ATTRIBUTE twice[] = {{CKA_CLASS, &data, sizeof data}, {CKA_LABEL, "a", 1}, {CKA_LABEL, "b", 1}};
    CK_ATTRIBUTE half_a_truth[] = {{CKA_CLASS, &data, sizeof data}, {CKA_TOKEN, "\x02", 1}};
    WANT(p11->C_CreateObject(session, NULL, 3, &object), BAD);
    WANT(p11->C_CreateObject(session, good, 3, NULL), BAD);
    WANT(p11->C_CreateObject(session, NULL, 0, &object), CKR_TEMPLATE_INCOMPLETE, BAD);
    WANT(p11->C_CreateObject(session, good, HUGE_LENGTH, &object), BAD, CKR_TEMPLATE_INCONSISTENT, CKR_HOST_MEMORY);
    WANT(p11->C_CreateObject(session, no_class, 1, &object), CKR_TEMPLATE_INCOMPLETE);
    WANT(p11->C_CreateObject(session, wrong_class, 1, &object), CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT);
    WANT(p11->C_CreateObject(session, cut, 1, &object), CKR_ATTRIBUTE_VALUE_INVALID);
    WANT(p11->C_CreateObject(session, lost, 2, &object), CKR_ATTRIBUTE_VALUE_INVALID, BAD);
    WANT(p11->C_CreateObject(session, huge, 2, &object), CKR_ATTRIBUTE_VALUE_INVALID, BAD);
    WANT(p11->C_CreateObject(session, alien, 2, &object), CKR_ATTRIBUTE_TYPE_INVALID);
    WANT(p11->C_CreateObject(session, twice, 3, &object), CKR_TEMPLATE_INCONSISTENT);
    WANT(p11->C_CreateObject(session, half_a_truth, 2, &object), CKR_ATTRIBUTE_VALUE_INVALID);
    OK(p11->C_CreateObject(session, good, 3, &object));

    CK_BYTE value[3];
    CK_ATTRIBUTE ask[] = {{CKA_VALUE, value, 2}, {CKA_MODULUS, NULL, 0}, {CKA_LABEL, NULL, 0}};
    WANT(p11->C_GetAttributeValue(session, object, NULL, 1), BAD);
    WANT(p11->C_GetAttributeValue(session, NO_OBJECT, ask, 1), CKR_OBJECT_HANDLE_INVALID);
    WANT(p11->C_GetAttributeValue(session, object, ask, 3), CKR_BUFFER_TOO_SMALL, CKR_ATTRIBUTE_TYPE_INVALID);
    THAT(ask[0].ulValueLen == CK_UNAVAILABLE_INFORMATION && ask[1].ulValueLen == CK_UNAVAILABLE_INFORMATION);
    THAT(ask[2].ulValueLen == 0);
    ask[0] = (CK_ATTRIBUTE){CKA_VALUE, value, 3};
    OK(p11->C_GetAttributeValue(session, object, ask, 1));
    THAT(memcmp(value, "abc", 3) == 0);
    CK_ATTRIBUTE secret = {CKA_VALUE, buffer, sizeof buffer};
    WANT(p11->C_GetAttributeValue(session, private_key, &secret, 1), CKR_ATTRIBUTE_SENSITIVE);
    THAT(secret.ulValueLen == CK_UNAVAILABLE_INFORMATION);

    WANT(p11->C_SetAttributeValue(session, object, NULL, 1), BAD);
    WANT(p11->C_SetAttributeValue(session, NO_OBJECT, good, 1), CKR_OBJECT_HANDLE_INVALID);
    CK_ATTRIBUTE open_up = {CKA_SENSITIVE, &no, 1};
    WANT(p11->C_SetAttributeValue(session, private_key, &open_up, 1), CKR_ATTRIBUTE_READ_ONLY);
    CK_ULONG size;
    WANT(p11->C_GetObjectSize(session, object, NULL), BAD);
    WANT(p11->C_GetObjectSize(session, NO_OBJECT, &size), CKR_OBJECT_HANDLE_INVALID);
    WANT(p11->C_CopyObject(session, NO_OBJECT, NULL, 0, &object), CKR_OBJECT_HANDLE_INVALID);
    WANT(p11->C_CopyObject(session, object, NULL, 0, NULL), BAD);
    WANT(p11->C_FindObjectsInit(session, NULL, 1), BAD);
    WANT(p11->C_FindObjects(session, &object, 1, &size), CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_FindObjectsFinal(session), CKR_OPERATION_NOT_INITIALIZED);
    OK(p11->C_FindObjectsInit(session, good, 1));
    WANT(p11->C_FindObjectsInit(session, good, 1), CKR_OPERATION_ACTIVE);
    WANT(p11->C_FindObjects(session, NULL, 1, &size), BAD);
    WANT(p11->C_FindObjects(session, &object, 1, NULL), BAD);
    OK(p11->C_FindObjects(session, &object, 1, &size));
    THAT(size == 1);
    OK(p11->C_FindObjectsFinal(session));
    OK(p11->C_DestroyObject(session, object));
    WANT(p11->C_DestroyObject(session, object), CKR_OBJECT_HANDLE_INVALID);
    WANT(p11->C_DestroyObject(session, 0), CKR_OBJECT_HANDLE_INVALID);
}

static void keys(void) {
    CK_OBJECT_HANDLE one, two;
    CK_ULONG length = 32, odd = 33, size = 0;
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0}, pair = {CKM_EC_KEY_PAIR_GEN, NULL, 0}, wrap = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_ATTRIBUTE aes[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &no, 1}};
    CK_ATTRIBUTE wrong[] = {{CKA_VALUE_LEN, &odd, sizeof odd}};
    CK_ATTRIBUTE curve[] = {{CKA_EC_PARAMS, "\x06\x03\x55\x04\x03", 5}}; /* an OID, but of no curve */
    WANT(p11->C_GenerateKey(session, NULL, aes, 2, &one), BAD);
    WANT(p11->C_GenerateKey(session, &generate, NULL, 2, &one), BAD);
    WANT(p11->C_GenerateKey(session, &generate, aes, 2, NULL), BAD);
    WANT(p11->C_GenerateKey(session, &pair, aes, 2, &one), CKR_MECHANISM_INVALID);
    WANT(p11->C_GenerateKey(session, &generate, NULL, 0, &one), CKR_TEMPLATE_INCOMPLETE);
    WANT(p11->C_GenerateKey(session, &generate, wrong, 1, &one), CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID);
    WANT(p11->C_GenerateKeyPair(session, &pair, NULL, 0, NULL, 0, &one, &two), CKR_TEMPLATE_INCOMPLETE);
    WANT(p11->C_GenerateKeyPair(session, &pair, curve, 1, NULL, 0, &one, &two), CKR_CURVE_NOT_SUPPORTED,
         CKR_DOMAIN_PARAMS_INVALID, CKR_ATTRIBUTE_VALUE_INVALID);
    WANT(p11->C_GenerateKeyPair(session, &pair, curve, 1, NULL, 0, NULL, &two), BAD);
    WANT(p11->C_WrapKey(session, NULL, aes_key, private_key, NULL, &size), BAD);
    WANT(p11->C_WrapKey(session, &wrap, NO_OBJECT, private_key, NULL, &size), CKR_WRAPPING_KEY_HANDLE_INVALID);
    WANT(p11->C_WrapKey(session, &wrap, aes_key, NO_OBJECT, NULL, &size), CKR_KEY_HANDLE_INVALID,
         CKR_KEY_FUNCTION_NOT_PERMITTED);
    WANT(p11->C_UnwrapKey(session, &wrap, NO_OBJECT, buffer, 24, aes, 2, &one), CKR_UNWRAPPING_KEY_HANDLE_INVALID);
    WANT(p11->C_UnwrapKey(session, &wrap, aes_key, NULL, 24, aes, 2, &one), BAD);
    WANT(p11->C_DeriveKey(session, NULL, private_key, NULL, 0, &one), BAD);
    WANT(p11->C_DeriveKey(session, &unknown, private_key, NULL, 0, &one), CKR_MECHANISM_INVALID);
}

static void version_3(void) {
    CK_ULONG length = 64;
    WANT(p11->C_LoginUser(NO_SESSION, CKU_USER, buffer, 8, NULL, 0), CKR_SESSION_HANDLE_INVALID, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(p11->C_SessionCancel(NO_SESSION, CKF_SIGN), CKR_SESSION_HANDLE_INVALID);
    OK(p11->C_SignInit(session, &ecdsa, private_key));
    OK(p11->C_SessionCancel(session, CKF_SIGN));
    WANT(p11->C_SignUpdate(session, buffer, 1), CKR_OPERATION_NOT_INITIALIZED);
    WANT(p11->C_EncryptMessage(session, NULL, 0, NULL, 0, buffer, 1, buffer, &length), CKR_OPERATION_NOT_INITIALIZED,
         CKR_FUNCTION_NOT_SUPPORTED, BAD);
    WANT(p11->C_MessageSignInit(session, &ecdsa, NO_OBJECT), CKR_KEY_HANDLE_INVALID, CKR_FUNCTION_NOT_SUPPORTED);

    CK_MECHANISM kem = {0x17, NULL, 0}; /* CKM_ML_KEM */
    CK_OBJECT_HANDLE object;
    WANT(more->C_EncapsulateKey(session, NULL, public_key, NULL, 0, NULL, &length, &object), BAD);
    WANT(more->C_EncapsulateKey(session, &kem, NO_OBJECT, NULL, 0, buffer, &length, &object), CKR_KEY_HANDLE_INVALID,
         CKR_BUFFER_TOO_SMALL);
    WANT(more->C_EncapsulateKey(session, &kem, public_key, NULL, 0, buffer, NULL, &object), BAD);
    WANT(more->C_DecapsulateKey(session, &kem, NO_OBJECT, NULL, 0, buffer, 768, &object), CKR_KEY_HANDLE_INVALID,
         CKR_UNWRAPPING_KEY_HANDLE_INVALID);
    WANT(more->C_DecapsulateKey(session, &kem, private_key, NULL, 0, NULL, 768, &object), BAD);
    WANT(more->C_VerifySignatureInit(session, &ecdsa, public_key, NULL, 64), BAD, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(more->C_VerifySignature(session, buffer, 32), CKR_OPERATION_NOT_INITIALIZED, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(more->C_GetSessionValidationFlags(session, 1, NULL), BAD, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(more->C_AsyncComplete(session, NULL, NULL), BAD, CKR_FUNCTION_NOT_SUPPORTED);
    WANT(more->C_WrapKeyAuthenticated(session, NULL, aes_key, aes_key, NULL, 0, NULL, NULL), BAD, CKR_FUNCTION_NOT_SUPPORTED);
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

    /* Where the standard has pReserved, the structure of NSS has a field of its own. */
    CK_C_INITIALIZE_ARGS reserved = {.LibraryParameters = (CK_CHAR_PTR *)(void *)buffer}, half = {.CreateMutex = (CK_CREATEMUTEX)(void *)buffer};
    WANT(p11->C_Initialize(&reserved), BAD);
    WANT(p11->C_Initialize(&half), BAD);
    OK(initialize(p11));
    session = open_session(p11);
    general();
    sessions();
    make_pair(p11, session, &public_key, &private_key);
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG length = 32;
    CK_ATTRIBUTE aes[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &no, 1}, {CKA_ENCRYPT, &yes, 1}, {CKA_DECRYPT, &yes, 1}};
    OK(p11->C_GenerateKey(session, &generate, aes, 4, &aes_key));
    signing();
    ciphers();
    digests();
    objects();
    keys();
    version_3();
    CK_BYTE digest[32] = {1}, signature[64];
    OK(sign(p11, session, private_key, digest, signature));
    OK(p11->C_Finalize(NULL));
    WANT(p11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
    unload(library);
    return done("arguments");
}
