//! Keys from a hardware security module over PKCS#11. The one file that names `cryptoki`.
//!
//! A generation of a purpose is one secret object on the token, `CKO_SECRET_KEY` of `CKK_GENERIC_SECRET`, 32 bytes, made
//! on the token, sensitive and never extractable; its label is `facegate-PURPOSE`, its `CKA_ID` the generation, big-endian.
//! The data key is the token's HMAC-SHA256 under that object over `facegate data key v1`, the purpose and the generation,
//! parted by zero bytes. So the object never leaves the token, what is sealed is sealed in our own memory at full speed,
//! nothing has to be stored or backed up beside the token, and destroying the object destroys the data key for good.
//!
//! Why derivation and not a data key wrapped by the token: generating a generic secret and `CKM_SHA256_HMAC` are in
//! SoftHSM and in every HSM we know of, alike; AES-GCM differs by vendor (who makes the nonce, where the tag lies), and
//! AES key wrap asks for objects that may leave the token. What this does not protect from: who can read our memory reads
//! the data keys, as with any scheme that does not send every template through the token.
//!
//! Keys are asked for at the start and when the operator has rotated one; a token that is gone meanwhile is reported, and
//! the process goes on with the keys it has.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::{KEY_BYTES, Key, KeyError, KeyId, KeyProvider, KeyRing, check_purpose, ring_of};

const CONTEXT: &[u8] = b"facegate data key v1\0";

/// Where the token is and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs11Config {
    /// The HSM's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// Holds the user's PIN, readable by the owner alone.
    pub pin_file: PathBuf,
}

/// Keys derived on one token.
pub struct Pkcs11Keys {
    config: Pkcs11Config,
    library: Pkcs11,
    session: Mutex<Option<Session>>,
}

/// Modules that this process has initialised: PKCS#11 allows that once, and ends the module for everybody at once.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

impl Pkcs11Keys {
    /// Loads the module, finds the token and logs in.
    pub fn open(config: Pkcs11Config) -> Result<Self, KeyError> {
        let library = module(&config.module)?;
        let keys = Self { config, library, session: Mutex::new(None) };
        keys.on_token("logging in", |_| Ok(()))?;
        Ok(keys)
    }

    /// Runs `command` in the session, which is opened anew, once, if the token has closed it.
    fn on_token<T>(&self, what: &'static str, command: impl Fn(&Session) -> Result<T, Error>) -> Result<T, KeyError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error: Error| KeyError::Token { token: self.config.token.clone(), what, reason: reason(&error) };
        if let Some(open) = session.as_ref() {
            match command(open) {
                Err(error) if is_closed(&error) => *session = None,
                outcome => return outcome.map_err(failed),
            }
        }
        let open = self.log_in(&mut session)?;
        command(open).map_err(failed)
    }

    fn log_in<'s>(&self, session: &'s mut MutexGuard<'_, Option<Session>>) -> Result<&'s Session, KeyError> {
        let Pkcs11Config { token, pin_file, .. } = &self.config;
        let failed = |what| move |error: Error| KeyError::Token { token: token.clone(), what, reason: reason(&error) };
        let mut labels = Vec::new();
        for slot in self.library.get_slots_with_token().map_err(failed("listing the tokens"))? {
            let Ok(info) = self.library.get_token_info(slot) else { continue };
            let label = info.label().trim_end().to_owned();
            if label != *token {
                labels.push(label);
                continue;
            }
            let opened = self.library.open_rw_session(slot).map_err(failed("opening a session"))?;
            match opened.login(UserType::User, Some(&read_pin(pin_file)?)) {
                // Of all sessions that a process has on a token, one logs in for all.
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => return Ok(session.insert(opened)),
                Err(Error::Pkcs11(
                    why @ (RvError::PinIncorrect | RvError::PinLocked | RvError::PinInvalid | RvError::PinLenRange),
                    _,
                )) => {
                    let (token, pin_file) = (token.clone(), pin_file.clone());
                    return Err(KeyError::Pin { token, pin_file, reason: format!("{why:?}") });
                }
                Err(error) => return Err(failed("logging in")(error)),
            }
        }
        labels.retain(|label| !label.is_empty());
        let found = match labels.as_slice() {
            [] => "there is no other token".to_owned(),
            labels => format!("there are: {}", labels.join(", ")),
        };
        Err(KeyError::NoToken { token: token.clone(), found })
    }

    /// The objects of a purpose by generation.
    fn objects(&self, purpose: &str) -> Result<BTreeMap<u32, ObjectHandle>, KeyError> {
        check_purpose(purpose)?;
        let template = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label(purpose))];
        let found = self.on_token("looking for a key", |session| {
            let mut found = Vec::new();
            for object in session.find_objects(&template)? {
                for attribute in session.get_attributes(object, &[AttributeType::Id])? {
                    let Attribute::Id(id) = attribute else { continue };
                    found.extend(<[u8; 4]>::try_from(id).map(|id| (u32::from_be_bytes(id), object)));
                }
            }
            Ok(found)
        })?;
        let mut objects = BTreeMap::new();
        for (generation, object) in found {
            if objects.insert(generation, object).is_some() {
                let (token, purpose) = (self.config.token.clone(), purpose.to_owned());
                return Err(KeyError::Ambiguous { token, purpose, generation });
            }
        }
        Ok(objects)
    }

    fn derive(&self, purpose: &str, generation: u32, object: ObjectHandle) -> Result<Key, KeyError> {
        let input = [CONTEXT, purpose.as_bytes(), &[0], &generation.to_be_bytes()].concat();
        let what = "deriving a key (CKM_SHA256_HMAC)";
        let mac = self.on_token(what, |session| session.sign(&Mechanism::Sha256Hmac, object, &input))?;
        let mac = Zeroizing::new(mac);
        let bytes = <[u8; KEY_BYTES]>::try_from(mac.as_slice()).map_err(|_| KeyError::Token {
            token: self.config.token.clone(),
            what,
            reason: format!("{} bytes came instead of {KEY_BYTES}", mac.len()),
        })?;
        Ok(Key::from_bytes(bytes))
    }

    fn keys(&self, purpose: &str) -> Result<Vec<(u32, Key)>, KeyError> {
        let objects = self.objects(purpose)?.into_iter();
        objects.map(|(generation, object)| Ok((generation, self.derive(purpose, generation, object)?))).collect()
    }
}

impl KeyProvider for Pkcs11Keys {
    fn existing(&self, purpose: &str) -> Result<Option<KeyRing>, KeyError> {
        Ok(ring_of(self.keys(purpose)?))
    }

    fn rotate(&self, purpose: &str) -> Result<Key, KeyError> {
        let newest = self.objects(purpose)?.last_key_value().map_or(0, |(generation, _)| *generation);
        let generation = newest.saturating_add(1);
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Label(label(purpose)),
            Attribute::Id(generation.to_be_bytes().to_vec()),
            Attribute::ValueLen(32.into()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let what = "making a key (CKM_GENERIC_SECRET_KEY_GEN)";
        self.on_token(what, |session| session.generate_key(&Mechanism::GenericSecretKeyGen, &template))?;
        // Looked for again: another process may have made one of the same generation just now.
        let object = self.objects(purpose)?.get(&generation).copied();
        let object = object.ok_or_else(|| KeyError::Token {
            token: self.config.token.clone(),
            what,
            reason: "the token does not show the key that it made".into(),
        })?;
        self.derive(purpose, generation, object)
    }

    fn retire(&self, purpose: &str, id: KeyId) -> Result<(), KeyError> {
        let objects = self.objects(purpose)?;
        let newest = objects.last_key_value().map(|(generation, _)| *generation);
        for (generation, object) in objects {
            if self.derive(purpose, generation, object)?.id() != id {
                continue;
            }
            if Some(generation) == newest {
                return Err(KeyError::Newest { purpose: purpose.to_owned(), id });
            }
            return self.on_token("destroying a key", |session| session.destroy_object(object));
        }
        Err(KeyError::Unknown { purpose: purpose.to_owned(), id })
    }
}

impl fmt::Debug for Pkcs11Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Keys(token {})", self.config.token)
    }
}

fn label(purpose: &str) -> Vec<u8> {
    format!("facegate-{purpose}").into_bytes()
}

/// The module, initialised once a process.
fn module(path: &Path) -> Result<Pkcs11, KeyError> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let unusable = |error: Error| KeyError::Module { path: path.to_owned(), reason: reason(&error) };
    let module = Pkcs11::new(path).map_err(unusable)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(unusable)?;
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn read_pin(path: &Path) -> Result<AuthPin, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(file)?);
    Ok(AuthPin::new(text.trim().into()))
}

/// The token has ended the session, by itself or because it was pulled.
fn is_closed(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::UserNotLoggedIn
                | RvError::ObjectHandleInvalid,
            _
        )
    )
}

/// The module's own word for it: cryptoki's texts are the standard's, paragraphs long.
fn reason(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function} says {code:?}"),
        other => other.to_string(),
    }
}
