//! Mechanisms between C and the wire: the table's row, and the parameter in the form that the row says.
//!
//! What a mechanism without parameter is given as one is ignored, as other modules do. Sources: PKCS#11 3.2 §6, by mechanism.

use casemate_protocol::Mechanism;
use casemate_protocol::mechanisms::{Functions, MechanismRow, ParameterForm};
use casemate_protocol::messages::{
    Counter, CounterKdf, CounterKdfField, Ecdh, Eddsa, Gcm, Hkdf, MechanismUse, MlDsa, Oaep,
    Parameter, Pbkdf2, Pss, RsaAes,
};
use cryptoki_sys as ck;

use crate::abi;
use crate::code::{Code, Result};
use crate::library::Library;

/// A mechanism that a caller chose.
pub(crate) struct Chosen {
    pub(crate) row: &'static MechanismRow,
    pub(crate) parameter: Option<Parameter>,
}

impl Chosen {
    /// Returns its form on the wire.
    pub(crate) fn into_use(self) -> MechanismUse {
        MechanismUse { mechanism: self.row.mechanism.number(), parameter: self.parameter }
    }
}

/// Longer fields of parameters have no use, and are not worth a copy.
const FIELD_BYTES_MAX: ck::CK_ULONG = 1 << 20;
/// Fields of an SP 800-108 input.
const KDF_FIELDS_MAX: ck::CK_ULONG = 64;

const INVALID: Code = Code::MECHANISM_PARAM_INVALID;

/// Returns the row of a mechanism for a function.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` for NULL, `CKR_MECHANISM_INVALID` for one that is unknown or not for this function.
///
/// # Safety
/// The caller's promise ([`crate::abi`]).
pub(crate) unsafe fn row(
    pointer: *const ck::CK_MECHANISM,
    function: Functions,
) -> Result<&'static MechanismRow> {
    // SAFETY: the caller's promise.
    let mechanism = unsafe { abi::reference(pointer) }?;
    let known = Mechanism::from_number(mechanism.mechanism).ok_or(Code::MECHANISM_INVALID)?;
    let row = known.row();
    if row.functions.contains(function) { Ok(row) } else { Err(Code::MECHANISM_INVALID) }
}

/// Reads a mechanism for a function.
///
/// # Errors
/// As [`row`], and `CKR_MECHANISM_PARAM_INVALID`.
///
/// # Safety
/// The caller's promise, for the parameter and for what it points at.
pub(crate) unsafe fn read(
    library: &Library,
    pointer: *const ck::CK_MECHANISM,
    function: Functions,
) -> Result<Chosen> {
    // SAFETY: the caller's promise.
    let row = unsafe { row(pointer, function) }?;
    // SAFETY: the caller's promise; `row` saw that it is not null.
    let mechanism = unsafe { abi::reference(pointer) }?;
    let raw = Raw { pointer: mechanism.pParameter, length: mechanism.ulParameterLen };
    // SAFETY: the caller's promise.
    let parameter = unsafe { parameter(library, row, &raw) }?;
    Ok(Chosen { row, parameter })
}

/// A parameter as it came.
struct Raw {
    pointer: *mut std::ffi::c_void,
    length: ck::CK_ULONG,
}

impl Raw {
    const fn is_absent(&self) -> bool {
        self.length == 0
    }

    /// Reads it as a structure of exactly its size.
    unsafe fn as_structure<T: Copy>(&self) -> Result<T> {
        if usize::try_from(self.length) != Ok(size_of::<T>()) || self.pointer.is_null() {
            return Err(INVALID);
        }
        // SAFETY: not null and as long as `T`, as the caller promised; `T` is plain data of C.
        Ok(unsafe { self.pointer.cast::<T>().read_unaligned() })
    }

    unsafe fn bytes(&self) -> Result<Vec<u8>> {
        // SAFETY: the caller's promise.
        unsafe { field(self.pointer.cast(), self.length) }
    }
}

/// Copies a field of a parameter.
unsafe fn field(pointer: *const u8, length: ck::CK_ULONG) -> Result<Vec<u8>> {
    if length > FIELD_BYTES_MAX {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { abi::slice(pointer, length) };
    bytes.map(<[u8]>::to_vec).map_err(|code| code.instead_of(Code::ARGUMENTS_BAD, INVALID.0))
}

unsafe fn parameter(library: &Library, row: &MechanismRow, raw: &Raw) -> Result<Option<Parameter>> {
    let absent = raw.is_absent();
    #[expect(clippy::multiple_unsafe_ops_per_block, reason = "each arm passes the same promise on")]
    // SAFETY: for every arm, the caller's promise is passed on.
    let parameter = unsafe {
        match row.parameter {
            ParameterForm::None => return Ok(None),
            ParameterForm::Eddsa | ParameterForm::MlDsa if absent => return Ok(None),
            // Key wrap has an IV of its own.
            ParameterForm::Iv if absent && iv_bytes(row) != BLOCK => return Ok(None),
            ParameterForm::Iv if usize::try_from(raw.length) != Ok(iv_bytes(row)) => {
                return Err(INVALID);
            }
            ParameterForm::Iv => Parameter::Iv(raw.bytes()?),
            ParameterForm::Counter => {
                let counter = raw.as_structure::<ck::CK_AES_CTR_PARAMS>()?;
                let block = counter.cb.to_vec();
                Parameter::Counter(Counter { bits: counter.ulCounterBits, block })
            }
            ParameterForm::Gcm => Parameter::Gcm(gcm(raw)?),
            ParameterForm::Oaep => Parameter::Oaep(oaep(&raw.as_structure()?)?),
            ParameterForm::Pss => Parameter::Pss(pss(&raw.as_structure()?)?),
            ParameterForm::RsaAes => Parameter::RsaAes(rsa_aes(&raw.as_structure()?)?),
            ParameterForm::Ecdh => Parameter::Ecdh(ecdh(&raw.as_structure()?)?),
            ParameterForm::Eddsa => Parameter::Eddsa(eddsa(&raw.as_structure()?)?),
            ParameterForm::MlDsa => Parameter::MlDsa(ml_dsa(&raw.as_structure()?)?),
            ParameterForm::MacLength => {
                Parameter::MacLength(raw.as_structure::<ck::CK_MAC_GENERAL_PARAMS>()?)
            }
            ParameterForm::Hkdf => Parameter::Hkdf(hkdf(library, &raw.as_structure()?)?),
            ParameterForm::Pbkdf2 => Parameter::Pbkdf2(pbkdf2(&raw.as_structure()?)?),
            ParameterForm::CounterKdf => Parameter::CounterKdf(counter_kdf(&raw.as_structure()?)?),
            ParameterForm::Data => {
                let data = raw.as_structure::<ck::CK_KEY_DERIVATION_STRING_DATA>()?;
                Parameter::Data(field(data.pData, data.ulLen)?)
            }
            ParameterForm::Key => {
                let handle = raw.as_structure::<ck::CK_OBJECT_HANDLE>()?;
                Parameter::Key(library.objects.reference(handle, Code::KEY_HANDLE_INVALID)?)
            }
        }
    };
    Ok(Some(parameter))
}

const BLOCK: usize = 16;

#[expect(clippy::wildcard_enum_match_arm, reason = "all others with an IV have a block")]
/// How long the IV of a mechanism is: a block, or what RFC 3394 and RFC 5649 have.
const fn iv_bytes(row: &MechanismRow) -> usize {
    match row.mechanism {
        Mechanism::AesKeyWrap => 8,
        Mechanism::AesKeyWrapPad | Mechanism::AesKeyWrapKwp => 4,
        _ => BLOCK,
    }
}

/// The number on the wire of the hash that a digest mechanism names.
fn hash(mechanism: ck::CK_MECHANISM_TYPE) -> Result<u32> {
    let row = Mechanism::from_number(mechanism).ok_or(INVALID)?.row();
    let digest = row.functions.contains(Functions::DIGEST).then_some(row.hash).flatten();
    digest.map(casemate_protocol::Hash::number).ok_or(INVALID)
}

fn mgf(mgf: ck::CK_RSA_PKCS_MGF_TYPE) -> Result<u32> {
    use casemate_protocol::Hash;
    let hash = match mgf {
        ck::CKG_MGF1_SHA1 => Hash::Sha1,
        ck::CKG_MGF1_SHA224 => Hash::Sha224,
        ck::CKG_MGF1_SHA256 => Hash::Sha256,
        ck::CKG_MGF1_SHA384 => Hash::Sha384,
        ck::CKG_MGF1_SHA512 => Hash::Sha512,
        ck::CKG_MGF1_SHA3_224 => Hash::Sha3_224,
        ck::CKG_MGF1_SHA3_256 => Hash::Sha3_256,
        ck::CKG_MGF1_SHA3_384 => Hash::Sha3_384,
        ck::CKG_MGF1_SHA3_512 => Hash::Sha3_512,
        _ => return Err(INVALID),
    };
    Ok(hash.number())
}

/// `CK_GCM_PARAMS`, also without `ulIvBits` as before PKCS#11 2.40.
#[repr(C)]
#[derive(Clone, Copy)]
struct OldGcm {
    iv: *mut u8,
    iv_length: ck::CK_ULONG,
    aad: *mut u8,
    aad_length: ck::CK_ULONG,
    tag_bits: ck::CK_ULONG,
}

unsafe fn gcm(raw: &Raw) -> Result<Gcm> {
    let old = if usize::try_from(raw.length) == Ok(size_of::<OldGcm>()) {
        // SAFETY: the caller's promise.
        unsafe { raw.as_structure::<OldGcm>() }?
    } else {
        // SAFETY: the caller's promise.
        let new = unsafe { raw.as_structure::<ck::CK_GCM_PARAMS>() }?;
        OldGcm {
            iv: new.pIv,
            iv_length: new.ulIvLen,
            aad: new.pAAD,
            aad_length: new.ulAADLen,
            tag_bits: new.ulTagBits,
        }
    };
    // Who wants an IV made inside uses the functions for messages: here there is no place to return it.
    if old.iv_length == 0 || old.tag_bits > 128 {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let iv = unsafe { field(old.iv, old.iv_length) }?;
    // SAFETY: the caller's promise.
    let aad = unsafe { field(old.aad, old.aad_length) }?;
    Ok(Gcm { iv, aad, tag_bits: old.tag_bits })
}

unsafe fn oaep(parameter: &ck::CK_RSA_PKCS_OAEP_PARAMS) -> Result<Oaep> {
    // Some callers leave the source 0 when there is no label.
    let labelled = parameter.ulSourceDataLen != 0;
    if labelled && parameter.source != ck::CKZ_DATA_SPECIFIED {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let label = unsafe { field(parameter.pSourceData.cast(), parameter.ulSourceDataLen) }?;
    Ok(Oaep { hash: hash(parameter.hashAlg)?, mgf: mgf(parameter.mgf)?, label })
}

fn pss(parameter: &ck::CK_RSA_PKCS_PSS_PARAMS) -> Result<Pss> {
    let (hash, mgf) = (hash(parameter.hashAlg)?, mgf(parameter.mgf)?);
    Ok(Pss { hash, mgf, salt_bytes: parameter.sLen })
}

unsafe fn rsa_aes(parameter: &ck::CK_RSA_AES_KEY_WRAP_PARAMS) -> Result<RsaAes> {
    // SAFETY: the caller's promise.
    let inner = unsafe { abi::reference(parameter.pOAEPParams) }.map_err(|_code| INVALID)?;
    // SAFETY: the caller's promise.
    let oaep = Some(unsafe { oaep(inner) }?);
    Ok(RsaAes { aes_bits: parameter.ulAESKeyBits, oaep })
}

unsafe fn ecdh(parameter: &ck::CK_ECDH1_DERIVE_PARAMS) -> Result<Ecdh> {
    // SAFETY: the caller's promise.
    let shared = unsafe { field(parameter.pSharedData, parameter.ulSharedDataLen) }?;
    // SAFETY: the caller's promise.
    let public = unsafe { field(parameter.pPublicData, parameter.ulPublicDataLen) }?;
    Ok(Ecdh { kdf: parameter.kdf, shared, public })
}

unsafe fn eddsa(parameter: &ck::CK_EDDSA_PARAMS) -> Result<Eddsa> {
    // SAFETY: the caller's promise.
    let context = unsafe { field(parameter.pContextData, parameter.ulContextDataLen) }?;
    Ok(Eddsa { prehashed: parameter.phFlag != ck::CK_FALSE, context })
}

unsafe fn ml_dsa(parameter: &ck::CK_SIGN_ADDITIONAL_CONTEXT) -> Result<MlDsa> {
    // SAFETY: the caller's promise.
    let context = unsafe { field(parameter.pContext, parameter.ulContextLen) }?;
    Ok(MlDsa { hedge: parameter.hedgeVariant, context })
}

unsafe fn hkdf(library: &Library, parameter: &ck::CK_HKDF_PARAMS) -> Result<Hkdf> {
    let (mut salt, mut salt_key) = (Vec::new(), None);
    match parameter.ulSaltType {
        ck::CKF_HKDF_SALT_NULL => {}
        // SAFETY: the caller's promise.
        ck::CKF_HKDF_SALT_DATA => salt = unsafe { field(parameter.pSalt, parameter.ulSaltLen) }?,
        ck::CKF_HKDF_SALT_KEY => {
            let key = library.objects.reference(parameter.hSaltKey, Code::KEY_HANDLE_INVALID)?;
            salt_key = Some(key);
        }
        _ => return Err(INVALID),
    }
    // SAFETY: the caller's promise.
    let info = unsafe { field(parameter.pInfo, parameter.ulInfoLen) }?;
    let (extract, expand) = (parameter.bExtract != 0, parameter.bExpand != 0);
    Ok(Hkdf { extract, expand, hash: hash(parameter.prfHashMechanism)?, salt, salt_key, info })
}

unsafe fn pbkdf2(parameter: &ck::CK_PKCS5_PBKD2_PARAMS2) -> Result<Pbkdf2> {
    use casemate_protocol::Hash;
    if parameter.saltSource != ck::CKZ_SALT_SPECIFIED {
        return Err(INVALID);
    }
    let hash = match parameter.prf {
        ck::CKP_PKCS5_PBKD2_HMAC_SHA1 => Hash::Sha1,
        ck::CKP_PKCS5_PBKD2_HMAC_SHA224 => Hash::Sha224,
        ck::CKP_PKCS5_PBKD2_HMAC_SHA256 => Hash::Sha256,
        ck::CKP_PKCS5_PBKD2_HMAC_SHA384 => Hash::Sha384,
        ck::CKP_PKCS5_PBKD2_HMAC_SHA512 => Hash::Sha512,
        _ => return Err(INVALID),
    };
    let salt = parameter.pSaltSourceData.cast();
    // SAFETY: the caller's promise.
    let salt = unsafe { field(salt, parameter.ulSaltSourceDataLen) }?;
    // SAFETY: the caller's promise.
    let password = unsafe { field(parameter.pPassword, parameter.ulPasswordLen) }?;
    Ok(Pbkdf2 { hash: hash.number(), salt, iterations: parameter.iterations, password })
}

unsafe fn counter_kdf(parameter: &ck::CK_SP800_108_KDF_PARAMS) -> Result<CounterKdf> {
    if parameter.ulAdditionalDerivedKeys != 0 || parameter.ulNumberOfDataParams > KDF_FIELDS_MAX {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let given = unsafe { abi::slice(parameter.pDataParams, parameter.ulNumberOfDataParams) }
        .map_err(|_code| INVALID)?;
    let mut fields = Vec::with_capacity(given.len());
    for entry in given {
        // SAFETY: the caller's promise.
        fields.push(unsafe { counter_kdf_field(entry) }?);
    }
    Ok(CounterKdf { prf: parameter.prfType, fields })
}

unsafe fn counter_kdf_field(entry: &ck::CK_PRF_DATA_PARAM) -> Result<CounterKdfField> {
    let raw = Raw { pointer: entry.pValue, length: entry.ulValueLen };
    let mut field = CounterKdfField { kind: entry.type_, ..CounterKdfField::default() };
    match entry.type_ {
        ck::CK_SP800_108_ITERATION_VARIABLE | ck::CK_SP800_108_COUNTER => {
            // SAFETY: the caller's promise.
            let counter = unsafe { raw.as_structure::<ck::CK_SP800_108_COUNTER_FORMAT>() }?;
            field.little_endian = counter.bLittleEndian != ck::CK_FALSE;
            field.width_bits = counter.ulWidthInBits;
        }
        ck::CK_SP800_108_DKM_LENGTH => {
            // SAFETY: the caller's promise.
            let length = unsafe { raw.as_structure::<ck::CK_SP800_108_DKM_LENGTH_FORMAT>() }?;
            field.little_endian = length.bLittleEndian != ck::CK_FALSE;
            field.width_bits = length.ulWidthInBits;
            field.length_method = length.dkmLengthMethod;
        }
        // SAFETY: the caller's promise.
        ck::CK_SP800_108_BYTE_ARRAY => field.bytes = unsafe { raw.bytes() }?,
        _ => return Err(INVALID),
    }
    Ok(field)
}
