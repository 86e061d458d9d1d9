/* The interfaces of 2.40, 3.0 and 3.2: how they are asked for, that every pointer is filled, and that every
 * function but the few says CKR_CRYPTOKI_NOT_INITIALIZED before C_Initialize, whatever its arguments. */
#include "abi.h"
#include "casemate_pkcs11.h"

/* Calls any function with eleven zeros: on the ABIs we build for, a callee ignores what it does not take. */
typedef CK_RV (*any)(CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG, CK_ULONG,
                     CK_ULONG);

static void uninitialised(const char *name, void *pointer) {
    static const char *const always[] = {"C_Initialize", "C_GetFunctionList", "C_GetInterfaceList", "C_GetInterface"};
    THAT(pointer != NULL);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (strcmp(name, always[i]) == 0)
            return;
    any function;
    *(void **)&function = pointer;
    CK_RV code = function(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    int parallel = strcmp(name, "C_GetFunctionStatus") == 0 || strcmp(name, "C_CancelFunction") == 0;
    if (code != CKR_CRYPTOKI_NOT_INITIALIZED && !(parallel && code == CKR_FUNCTION_NOT_PARALLEL))
        die("%s before C_Initialize gave 0x%lx", name, code);
    checks++;
}

static void every_pointer(struct function_list_3_2 *list, CK_VERSION version) {
#define CK_PKCS11_FUNCTION_INFO(name) uninitialised(#name, *(void **)&list->base.name);
#define CK_PKCS11_2_0_ONLY 1
#include <nss/pkcs11f.h>
#undef CK_PKCS11_2_0_ONLY
    if (version.major < 3)
        return;
#define CK_PKCS11_3_0 1
#include <nss/pkcs11f.h>
    if (version.minor < 2)
        return;
    void **more = (void **)&list->more;
    for (size_t i = 0; i < sizeof list->more / sizeof *more; i++) {
        char name[32];
        snprintf(name, sizeof name, "function %zu of 3.2", i);
        uninitialised(name, more[i]);
    }
}

/* What our own header says is what the module says. */
static void header(struct CK_FUNCTION_LIST_3_0 *p11) {
    CK_TOKEN_INFO token;
    OK(initialize(p11));
    THAT(first_slot(p11) == CASEMATE_SLOT_ID);
    OK(p11->C_GetTokenInfo(CASEMATE_SLOT_ID, &token));
    THAT(memcmp(token.label, CASEMATE_TOKEN_LABEL " ", sizeof CASEMATE_TOKEN_LABEL) == 0);
    THAT(token.ulMinPinLen == CASEMATE_PIN_BYTES_MIN && token.ulMaxPinLen == CASEMATE_PIN_BYTES_MAX);
    THAT(token.ulMaxSessionCount == CASEMATE_SESSIONS_MAX);
    const char *name = strrchr(from_environment("MODULE"), '/');
    THAT(name != NULL && strcmp(name + 1, CASEMATE_PKCS11_LIBRARY) == 0);
    OK(p11->C_Finalize(NULL));
}

int main(void) {
    void *library;
    struct CK_FUNCTION_LIST_3_0 *p11 = load(&library);
    CK_C_GetInterfaceList get_list;
    CK_C_GetInterface get;
    CK_C_GetFunctionList get_functions;
    *(void **)&get_list = dlsym(library, "C_GetInterfaceList");
    *(void **)&get = dlsym(library, "C_GetInterface");
    *(void **)&get_functions = dlsym(library, "C_GetFunctionList");
    THAT(get_list && get && get_functions);

    CK_FUNCTION_LIST_PTR functions = NULL;
    WANT(get_functions(NULL), CKR_ARGUMENTS_BAD);
    OK(get_functions(&functions));
    THAT(functions->version.major == 2 && functions->version.minor == 40);

    CK_ULONG count = 99;
    WANT(get_list(NULL, NULL), CKR_ARGUMENTS_BAD);
    OK(get_list(NULL, &count));
    THAT(count >= 3 && count < 99);
    CK_INTERFACE *interfaces = calloc(count, sizeof *interfaces);
    CK_ULONG all = count;
    count = all - 1;
    WANT(get_list(interfaces, &count), CKR_BUFFER_TOO_SMALL);
    THAT(count == all);
    OK(get_list(interfaces, &count));
    THAT(count == all);

    static const CK_VERSION versions[] = {{2, 40}, {3, 0}, {3, 2}};
    for (size_t v = 0; v < 3; v++) {
        CK_VERSION version = versions[v];
        int listed = 0;
        for (CK_ULONG i = 0; i < all; i++) {
            CK_VERSION *its = interfaces[i].pFunctionList;
            listed += strcmp((char *)interfaces[i].pInterfaceName, "PKCS 11") == 0 && its->major == version.major &&
                      its->minor == version.minor;
        }
        THAT(listed == 1);
        CK_INTERFACE_PTR found = NULL;
        OK(get((CK_UTF8CHAR *)"PKCS 11", &version, &found, 0));
        OK(get(NULL, &version, &found, 0));
        THAT(memcmp(found->pFunctionList, &version, sizeof version) == 0);
        /* We are safe after fork, and say so: programs ask for it by this flag. */
        OK(get(NULL, &version, &found, CKF_INTERFACE_FORK_SAFE));
        every_pointer(found->pFunctionList, version);
    }
    free(interfaces);

    CK_INTERFACE_PTR found = NULL;
    OK(get(NULL, NULL, &found, 0));
    THAT(strcmp((char *)found->pInterfaceName, "PKCS 11") == 0);
    WANT(get(NULL, NULL, NULL, 0), CKR_ARGUMENTS_BAD);
    CK_VERSION unknown = {9, 9};
    WANT(get(NULL, &unknown, &found, 0), CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD);
    WANT(get((CK_UTF8CHAR *)"Vendor of none", NULL, &found, 0), CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD);
    WANT(get(NULL, NULL, &found, 0x80000000UL), CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD);
    header(p11);
    unload(library);
    return done("interfaces");
}
