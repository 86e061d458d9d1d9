/* Sessions that only read, as many sessions as there may be, another user's objects, and one's own password:
 * $PIN2 is a second user, who runs in a process of his own, as users do. */
#include "abi.h"

#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS_MAX = 100000 };

static struct CK_FUNCTION_LIST_3_0 *p11;
static CK_BYTE iv[16];
static CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv}, wrap = {CKM_AES_KEY_WRAP, NULL, 0};

static CK_OBJECT_HANDLE make_aes(CK_SESSION_HANDLE session, CK_BBOOL *token) {
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG length = 32;
    CK_ATTRIBUTE aes[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, token, 1}, {CKA_WRAP, &yes, 1}, {CKA_EXTRACTABLE, &yes, 1}};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    OK(p11->C_GenerateKey(session, &generate, aes, 4, &key));
    return key;
}

static void read_only(CK_SESSION_HANDLE writes) {
    CK_SESSION_HANDLE session;
    OK(p11->C_OpenSession(first_slot(p11), CKF_SERIAL_SESSION, NULL, NULL, &session));
    CK_SESSION_INFO info;
    OK(p11->C_GetSessionInfo(session, &info));
    THAT(info.state == CKS_RO_USER_FUNCTIONS);
    CK_OBJECT_HANDLE key = make_aes(writes, &yes), other, pair[2];
    CK_OBJECT_CLASS data = CKO_DATA;
    CK_ULONG length = 32;
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0}, make_ec = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE token_data[] = {{CKA_CLASS, &data, sizeof data}, {CKA_TOKEN, &yes, 1}, {CKA_VALUE, "abc", 3}};
    CK_ATTRIBUTE token_key[] = {{CKA_VALUE_LEN, &length, sizeof length}, {CKA_TOKEN, &yes, 1}};
    CK_ATTRIBUTE label[] = {{CKA_LABEL, "new", 3}}, session_copy[] = {{CKA_TOKEN, &no, 1}};
    WANT(p11->C_CreateObject(session, token_data, 3, &other), CKR_SESSION_READ_ONLY);
    WANT(p11->C_GenerateKey(session, &generate, token_key, 2, &other), CKR_SESSION_READ_ONLY);
    WANT(p11->C_GenerateKeyPair(session, &make_ec, token_key + 1, 1, token_key + 1, 1, pair, pair + 1), CKR_SESSION_READ_ONLY);
    WANT(p11->C_CopyObject(session, key, NULL, 0, &other), CKR_SESSION_READ_ONLY);
    WANT(p11->C_SetAttributeValue(session, key, label, 1), CKR_SESSION_READ_ONLY);
    WANT(p11->C_DestroyObject(session, key), CKR_SESSION_READ_ONLY);
    WANT(p11->C_UnwrapKey(session, &wrap, key, iv, 16, token_key + 1, 1, &other), CKR_SESSION_READ_ONLY);
    WANT(p11->C_DeriveKey(session, &(CK_MECHANISM){CKM_CONCATENATE_BASE_AND_DATA, &(CK_KEY_DERIVATION_STRING_DATA){iv, 16},
                          sizeof(CK_KEY_DERIVATION_STRING_DATA)}, key, token_key + 1, 1, &other), CKR_SESSION_READ_ONLY);
    WANT(p11->C_SetPIN(session, iv, 16, iv, 16), CKR_SESSION_READ_ONLY);
    /* What lives in the session, and every use of a key, is free. */
    OK(p11->C_CopyObject(session, key, session_copy, 1, &other));
    OK(p11->C_SetAttributeValue(session, other, label, 1));
    OK(p11->C_DestroyObject(session, other));
    other = make_aes(session, &no);
    CK_BYTE sealed[32];
    length = sizeof sealed;
    OK(p11->C_EncryptInit(session, &cbc, key));
    OK(p11->C_Encrypt(session, iv, 16, sealed, &length));
    OK(p11->C_CloseSession(session));
    WANT(p11->C_DestroyObject(writes, other), CKR_OBJECT_HANDLE_INVALID); /* it went with its session */
    OK(p11->C_DestroyObject(writes, key));
}

static void as_many_as_there_may_be(CK_SESSION_HANDLE first) {
    static CK_SESSION_HANDLE opened[SESSIONS_MAX];
    CK_SLOT_ID slot = first_slot(p11);
    CK_SESSION_HANDLE session;
    size_t count = 0;
    CK_RV code;
    while (count < SESSIONS_MAX && (code = p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session)) == CKR_OK)
        opened[count++] = session;
    THAT(count == SESSIONS_MAX - 1 && code == CKR_SESSION_COUNT); /* the first is one of them */
    CK_TOKEN_INFO info;
    OK(p11->C_GetTokenInfo(slot, &info));
    THAT(info.ulSessionCount == SESSIONS_MAX && info.ulRwSessionCount == 1);
    /* Those that are open work, and each that is closed makes room for one. */
    CK_BYTE random[8];
    OK(p11->C_GenerateRandom(opened[count - 1], random, sizeof random));
    OK(p11->C_CloseSession(opened[0]));
    OK(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &opened[0]));
    WANT(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_SESSION_COUNT);
    for (size_t i = 0; i < count; i++)
        if (p11->C_CloseSession(opened[i]) != CKR_OK)
            die("session %zu does not close", i);
    OK(p11->C_GetTokenInfo(slot, &info));
    THAT(info.ulSessionCount == 1);
    CK_OBJECT_HANDLE public, private;
    make_pair(p11, first, &public, &private);
    CK_BYTE digest[32] = {1}, signature[64];
    OK(sign(p11, first, private, digest, signature));
}

static void own_password(void) {
    CK_SESSION_HANDLE session = open_session(p11);
    const char *pin = from_environment("PIN2"), *user = "second:", *next = "another-password";
    char named[64];
    snprintf(named, sizeof named, "%s%s", user, next);
#define TEXT(text) (CK_UTF8CHAR *)(text), strlen(text)
    WANT(p11->C_SetPIN(session, TEXT(pin), TEXT(next)), CKR_USER_NOT_LOGGED_IN);
    OK(p11->C_Login(session, CKU_USER, TEXT(pin)));
    WANT(p11->C_SetPIN(session, TEXT("second:a-wrong-one"), TEXT(next)), CKR_PIN_INCORRECT);
    WANT(p11->C_SetPIN(session, TEXT("somebody:a-wrong-one"), TEXT(next)), CKR_PIN_INCORRECT);
    WANT(p11->C_SetPIN(session, TEXT(pin), TEXT("short")), CKR_PIN_LEN_RANGE);
    OK(p11->C_SetPIN(session, TEXT(pin), TEXT(next)));
    /* Still logged in; and from now on the new one counts, told with the name or without. */
    CK_OBJECT_HANDLE public, private;
    make_pair(p11, session, &public, &private);
    OK(p11->C_Logout(session));
    WANT(p11->C_Login(session, CKU_USER, TEXT(pin)), CKR_PIN_INCORRECT);
    OK(p11->C_Login(session, CKU_USER, TEXT(named)));
    OK(p11->C_SetPIN(session, TEXT(named), TEXT(pin)));
    OK(p11->C_Logout(session));
    OK(p11->C_Login(session, CKU_USER, TEXT(pin)));
    OK(p11->C_CloseSession(session));
}

/* Tries what another user's handles are good for: nothing, and no code tells that they are somebody's. */
static void strange_handles(CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE certificate) {
    CK_SESSION_HANDLE session = open_session(p11);
    CK_BYTE out[64];
    CK_ULONG length = sizeof out, size;
    CK_OBJECT_HANDLE mine, object[4], made;
    CK_ATTRIBUTE label[] = {{CKA_LABEL, out, sizeof out}}, all[] = {{CKA_TOKEN, &yes, 1}};
    OK(p11->C_FindObjectsInit(session, all, 1));
    OK(p11->C_FindObjects(session, object, 4, &size));
    THAT(size == 0);
    OK(p11->C_FindObjectsFinal(session));
    mine = make_aes(session, &no);
    WANT(p11->C_EncryptInit(session, &cbc, key), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_DecryptInit(session, &cbc, key), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_SignInit(session, &(CK_MECHANISM){CKM_AES_CMAC, NULL, 0}, key), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_VerifyInit(session, &(CK_MECHANISM){CKM_AES_CMAC, NULL, 0}, key), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_WrapKey(session, &wrap, mine, key, out, &length), CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_WrapKey(session, &wrap, key, mine, out, &length), CKR_WRAPPING_KEY_HANDLE_INVALID);
    WANT(p11->C_UnwrapKey(session, &wrap, key, out, 24, NULL, 0, &made), CKR_UNWRAPPING_KEY_HANDLE_INVALID);
    WANT(p11->C_DeriveKey(session, &(CK_MECHANISM){CKM_CONCATENATE_BASE_AND_KEY, &key, sizeof key}, key, NULL, 0, &made),
         CKR_KEY_HANDLE_INVALID);
    WANT(p11->C_DigestInit(session, &(CK_MECHANISM){CKM_SHA256, NULL, 0}), CKR_OK);
    WANT(p11->C_DigestKey(session, key), CKR_KEY_HANDLE_INVALID);
    CK_OBJECT_HANDLE strange[] = {key, certificate, key + 1000000};
    for (size_t i = 0; i < 3; i++) {
        WANT(p11->C_GetAttributeValue(session, strange[i], label, 1), CKR_OBJECT_HANDLE_INVALID);
        WANT(p11->C_SetAttributeValue(session, strange[i], label, 1), CKR_OBJECT_HANDLE_INVALID);
        WANT(p11->C_CopyObject(session, strange[i], NULL, 0, &made), CKR_OBJECT_HANDLE_INVALID);
        WANT(p11->C_DestroyObject(session, strange[i]), CKR_OBJECT_HANDLE_INVALID);
        WANT(p11->C_GetObjectSize(session, strange[i], &size), CKR_OBJECT_HANDLE_INVALID);
    }
    OK(p11->C_CloseSession(session));
}

/* The second user: told the first one's handles through a pipe. */
static int second(int from) {
    void *library;
    p11 = load(&library);
    OK(initialize(p11));
    own_password();
    CK_SESSION_HANDLE session = open_session(p11);
    OK(p11->C_Login(session, CKU_USER, TEXT(from_environment("PIN2"))));
    CK_OBJECT_HANDLE told[2];
    THAT(read(from, told, sizeof told) == sizeof told);
    strange_handles(told[0], told[1]);
    OK(p11->C_Finalize(NULL));
    unload(library);
    return 0;
}

/* A key that wants the password at each use: a log-in of its own between the beginning and the use (PKCS#11 3.2 §5.6.8). */
static void always_authenticate(CK_SESSION_HANDLE session) {
    static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM make = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, p256, sizeof p256}};
    CK_ATTRIBUTE private[] = {{CKA_ALWAYS_AUTHENTICATE, &yes, 1}, {CKA_DERIVE, &yes, 1}};
    CK_OBJECT_HANDLE pair[2];
    OK(p11->C_GenerateKeyPair(session, &make, public, 1, private, 2, pair, pair + 1));
    CK_BBOOL asks = CK_FALSE;
    private[0].pValue = &asks;
    OK(p11->C_GetAttributeValue(session, pair[1], private, 1));
    THAT(asks == CK_TRUE);
    const char *pin = from_environment("PIN");
    WANT(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)), CKR_OPERATION_NOT_INITIALIZED);
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0}, hashed = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE digest[32] = {1}, signature[64];
    CK_ULONG length = sizeof signature;
    for (int use = 0; use < 2; use++) {
        /* Without it there is no signature, and nothing that was begun stays. */
        OK(p11->C_SignInit(session, &ecdsa, pair[1]));
        WANT(p11->C_Sign(session, digest, 32, signature, &length), CKR_USER_NOT_LOGGED_IN);
        WANT(p11->C_Sign(session, digest, 32, signature, &length), CKR_OPERATION_NOT_INITIALIZED);
        OK(p11->C_SignInit(session, &ecdsa, pair[1]));
        WANT(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT("app:not the password")), CKR_PIN_INCORRECT);
        OK(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)));
        WANT(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)), CKR_OPERATION_NOT_INITIALIZED);
        length = sizeof signature;
        OK(p11->C_Sign(session, digest, 32, signature, &length));
        THAT(length == 64);
        OK(p11->C_VerifyInit(session, &ecdsa, pair[0]));
        OK(p11->C_Verify(session, digest, 32, signature, length));
    }
    /* In parts. */
    OK(p11->C_SignInit(session, &hashed, pair[1]));
    OK(p11->C_SignUpdate(session, digest, 32));
    OK(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)));
    length = sizeof signature;
    OK(p11->C_SignFinal(session, signature, &length));
    /* Decryption, also in parts, and with a question for the length, which is no use of the key. */
    CK_MECHANISM make_rsa = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0}, rsa = {CKM_RSA_PKCS, NULL, 0};
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE encrypts[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_ENCRYPT, &yes, 1}, {CKA_WRAP, &yes, 1}};
    CK_ATTRIBUTE decrypts[] = {{CKA_ALWAYS_AUTHENTICATE, &yes, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_UNWRAP, &yes, 1}};
    CK_OBJECT_HANDLE box[2];
    OK(p11->C_GenerateKeyPair(session, &make_rsa, encrypts, 3, decrypts, 3, box, box + 1));
    CK_BYTE secret[256], text[256];
    CK_ULONG sealed = sizeof secret, opened = sizeof text;
    OK(p11->C_EncryptInit(session, &rsa, box[0]));
    OK(p11->C_Encrypt(session, digest, 32, secret, &sealed));
    OK(p11->C_DecryptInit(session, &rsa, box[1]));
    WANT(p11->C_Decrypt(session, secret, sealed, text, &opened), CKR_USER_NOT_LOGGED_IN);
    OK(p11->C_DecryptInit(session, &rsa, box[1]));
    OK(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)));
    OK(p11->C_Decrypt(session, secret, sealed, NULL, &opened));
    opened = sizeof text;
    OK(p11->C_Decrypt(session, secret, sealed, text, &opened));
    THAT(opened == 32 && memcmp(text, digest, 32) == 0);
    OK(p11->C_DecryptInit(session, &rsa, box[1]));
    OK(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)));
    opened = sizeof text;
    OK(p11->C_DecryptUpdate(session, secret, 100, text, &opened));
    opened = sizeof text;
    OK(p11->C_DecryptUpdate(session, secret + 100, sealed - 100, text, &opened));
    opened = sizeof text;
    OK(p11->C_DecryptFinal(session, text, &opened));
    THAT(opened == 32 && memcmp(text, digest, 32) == 0);
    /* There is no step in which an unwrapping could be confirmed. */
    CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_ATTRIBUTE unwrapped[] = {{CKA_CLASS, &secret_key, sizeof secret_key}, {CKA_KEY_TYPE, &aes, sizeof aes}};
    CK_OBJECT_HANDLE none;
    WANT(p11->C_UnwrapKey(session, &rsa, box[1], secret, sealed, unwrapped, 2, &none), CKR_USER_NOT_LOGGED_IN);
    /* A key that does not want it. */
    private[0].pValue = &no;
    OK(p11->C_GenerateKeyPair(session, &make, public, 1, private, 1, pair, pair + 1));
    OK(p11->C_SignInit(session, &ecdsa, pair[1]));
    WANT(p11->C_Login(session, CKU_CONTEXT_SPECIFIC, TEXT(pin)), CKR_OPERATION_NOT_INITIALIZED);
    length = sizeof signature;
    OK(p11->C_Sign(session, digest, 32, signature, &length));
}

int main(void) {
    int pipes[2];
    THAT(pipe(pipes) == 0);
    pid_t child = fork();
    THAT(child >= 0);
    if (child == 0)
        return second(pipes[0]);

    void *library;
    p11 = load(&library);
    OK(initialize(p11));
    CK_SESSION_HANDLE session = open_session(p11);
    OK(log_in(p11, session));
    CK_OBJECT_CLASS data = CKO_DATA;
    CK_ATTRIBUTE private[] = {{CKA_CLASS, &data, sizeof data}, {CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1}};
    CK_OBJECT_HANDLE told[2] = {make_aes(session, &yes), CK_INVALID_HANDLE};
    OK(p11->C_CreateObject(session, private, 3, &told[1]));
    THAT(write(pipes[1], told, sizeof told) == sizeof told);
    int status;
    THAT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(p11->C_DestroyObject(session, told[0])); /* it is still there, and still the first one's */
    OK(p11->C_DestroyObject(session, told[1]));
    read_only(session);
    as_many_as_there_may_be(session);
    always_authenticate(session);
    OK(p11->C_Finalize(NULL));
    unload(library);
    return done("sessions");
}
