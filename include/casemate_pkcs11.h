/* What a C program may rely on in Casemate's PKCS#11 module, beyond the standard's own pkcs11.h, which declares the functions.
 *
 * The module has no mechanisms, attributes or return codes of its own: a program that is written for PKCS#11 2.40, 3.0 or 3.2 needs
 * nothing of this. It exports C_GetFunctionList, C_GetInterfaceList and C_GetInterface. The PIN is "user:password", or
 * "CU:user:password" where a role must be named; only crypto users log in, as CKU_USER. */
#ifndef CASEMATE_PKCS11_H
#define CASEMATE_PKCS11_H

/* What to hand to dlopen. */
#define CASEMATE_PKCS11_LIBRARY "libcasemate_pkcs11.so"
/* The one slot: a cluster, for ever the same number. */
#define CASEMATE_SLOT_ID 0UL
/* The label of its token, without the blanks behind it. */
#define CASEMATE_TOKEN_LABEL "casemate"
/* Bytes of a PIN. */
#define CASEMATE_PIN_BYTES_MIN 10UL
#define CASEMATE_PIN_BYTES_MAX 163UL
/* Sessions of one process at one time. */
#define CASEMATE_SESSIONS_MAX 100000UL

#endif
