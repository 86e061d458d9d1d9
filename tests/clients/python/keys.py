"""Keys in the HSM from Python: python keys.py, with the PIN in $PIN and the module in $MODULE.

Each function is one use; pyca/cryptography, which knows nothing of the HSM, checks what came out.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pkcs11 import KDF, MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

MESSAGE = b"a message of some length, to be signed and sealed"


def ecdsa(session):
    """Signs with P-256, P-384 and P-521; 32 threads share one key."""
    for curve, size, digest in [("secp256r1", 32, hashes.SHA256), ("secp384r1", 48, hashes.SHA384), ("secp521r1", 66, hashes.SHA512)]:
        parameters = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
        )
        public, private = parameters.generate_keypair(store=False)
        theirs = serialization.load_der_public_key(encode_ec_public_key(public))
        hasher = hashes.Hash(digest())
        hasher.update(MESSAGE)
        raw = private.sign(hasher.finalize(), mechanism=Mechanism.ECDSA)
        assert len(raw) == 2 * size, "a signature is r and s, each as long as the order"
        encoded = utils.encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
        theirs.verify(encoded, MESSAGE, ec.ECDSA(digest()))
        try:
            theirs.verify(encoded, MESSAGE + b"!", ec.ECDSA(digest()))
        except InvalidSignature:
            continue
        raise AssertionError("a signature held for another message")


def rsa(session):
    """Signs with PKCS#1 v1.5 and PSS, decrypts OAEP."""
    public, private = session.generate_keypair(KeyType.RSA, 2048)
    theirs = serialization.load_der_public_key(spki(public))
    theirs.verify(private.sign(MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS), MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    signature = private.sign(
        MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=(Mechanism.SHA256, MGF.SHA256, 32)
    )
    theirs.verify(signature, MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    sealed = theirs.encrypt(MESSAGE, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    opened = private.decrypt(sealed, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=(Mechanism.SHA_1, MGF.SHA1, None))
    assert opened == MESSAGE


def spki(public):
    """Returns an RSA public key as SubjectPublicKeyInfo."""
    from asn1crypto.keys import PublicKeyInfo, RSAPublicKey

    return PublicKeyInfo.wrap(RSAPublicKey.load(encode_rsa_public_key(public)), "rsa").dump()


def aes(session):
    """Seals and opens with AES-CBC and AES-GCM; a known key shows that it is AES."""
    key = session.generate_key(KeyType.AES, 256)
    iv = session.generate_random(128)
    assert key.decrypt(key.encrypt(MESSAGE, mechanism_param=iv), mechanism_param=iv) == MESSAGE
    assert key.encrypt(MESSAGE, mechanism_param=iv) != MESSAGE
    known = bytes(range(32))
    imported = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: known,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
            Attribute.TOKEN: False,
        }
    )
    nonce = os.urandom(12)
    sealed = AESGCM(known).encrypt(nonce, MESSAGE, b"header")
    opened = imported.decrypt(
        sealed, mechanism=Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(nonce, b"header", 128)
    )
    assert opened == MESSAGE


def wrap(session):
    """Takes a key out under AES key wrap and back in; one that may not leave stays."""
    wrapper = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: bytes(range(16, 48)),
            Attribute.WRAP: True,
            Attribute.UNWRAP: True,
            Attribute.TOKEN: False,
        }
    )
    traveller = session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})
    iv = session.generate_random(128)
    before = traveller.encrypt(MESSAGE, mechanism_param=iv)
    wrapped = wrapper.wrap_key(traveller, mechanism=Mechanism.AES_KEY_WRAP)
    # The judge: RFC 3394 by another implementation opens it.
    assert len(keywrap.aes_key_unwrap(bytes(range(16, 48)), wrapped)) == 32
    returned = wrapper.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP)
    assert returned.decrypt(before, mechanism_param=iv) == MESSAGE
    homebody = session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: False})
    refused(pkcs11.PKCS11Error, lambda: wrapper.wrap_key(homebody, mechanism=Mechanism.AES_KEY_WRAP))


def derive(session):
    """Agrees on a secret by ECDH with a key held elsewhere."""
    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
    )
    public, private = parameters.generate_keypair(store=False, capabilities=pkcs11.MechanismFlag.DERIVE)
    peer = ec.generate_private_key(ec.SECP256R1())
    point = peer.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    secret = private.derive_key(
        KeyType.GENERIC_SECRET,
        256,
        mechanism_param=(KDF.NULL, None, point),
        template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.TOKEN: False},
        capabilities=0,
    )
    theirs = serialization.load_der_public_key(encode_ec_public_key(public))
    assert secret[Attribute.VALUE] == peer.exchange(ec.ECDH(), theirs)


def find(session):
    """Stores keys, finds them by label and id, renames, deletes."""
    for number in range(20):
        session.generate_key(KeyType.AES, 128, id=bytes([number]), label=f"py-{number % 2}", store=True)
    assert len(list(session.get_objects({Attribute.LABEL: "py-0"}))) == 10
    key = session.get_key(object_class=ObjectClass.SECRET_KEY, id=bytes([7]), label="py-1")
    key[Attribute.LABEL] = "renamed"
    assert session.get_key(object_class=ObjectClass.SECRET_KEY, label="renamed").id == bytes([7])
    refused(pkcs11.PKCS11Error, lambda: key[Attribute.VALUE])
    for key in list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True})):
        key.destroy()
    assert not list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True}))


def threads(token, pin):
    """Signs in 16 threads, each with a session of its own; they share the log-in."""
    parameters = encode_named_curve_parameters("secp256r1")
    with token.open(rw=True, user_pin=pin) as first:
        public, _ = first.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True).generate_keypair(
            store=True, label="threads"
        )
        theirs = serialization.load_der_public_key(encode_ec_public_key(public))

        def sign(number):
            digest = hashes.Hash(hashes.SHA256())
            digest.update(b"%d" % number)
            with token.open() as session:
                private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="threads")
                raw = private.sign(digest.finalize(), mechanism=Mechanism.ECDSA)
            encoded = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            theirs.verify(encoded, b"%d" % number, ec.ECDSA(hashes.SHA256()))
            return 1

        with ThreadPoolExecutor(16) as pool:
            return sum(pool.map(sign, range(320)))


def refused(error, call):
    """Fails unless `call` raises `error`."""
    try:
        call()
    except error:
        return
    raise AssertionError("what must be refused was done")


def main():
    library = pkcs11.lib(os.environ["MODULE"])
    token = library.get_token(token_label="casemate")
    refused(pkcs11.exceptions.PinIncorrect, lambda: token.open(user_pin="app:not-the-password"))
    uses = [ecdsa, rsa, aes, wrap, derive, find]
    with token.open(rw=True, user_pin=os.environ["PIN"]) as session:
        for use in uses:
            use(session)
            print("done", use.__name__)
    if "CONTROL" not in os.environ:  # SoftHSM crashes here
        print("signatures", threads(token, os.environ["PIN"]))


main()
