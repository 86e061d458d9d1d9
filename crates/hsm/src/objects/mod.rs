//! Objects: attributes, searches, and the requests that make, change and destroy them.
//!
//! [`flags`] and [`object`] are how one looks in memory, [`store`] holds all of them with their indexes,
//! [`rules`] says what a template may say, [`material`] makes new ones, [`access`] decides who may see and open one, [`command`] is
//! what goes through the log. Use of keys is in [`crate::operations`].
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what this family does not have is passed on or refused alike, new ones too"
)]

use std::sync::Arc;

use casemate_protocol::canonical::Writer;
use casemate_protocol::identity::Generation;
use casemate_protocol::messages::{
    Answer, Ask, AttributeAnswer, Attributes, Empty, FindObjects, Found, FoundObject,
    GetAttributes, MadeObject, MadePair, ObjectAndTemplate, ObjectReference,
};
use casemate_protocol::{AttributeType, Error, ObjectClass, Role, Template, limits as wire};

use crate::authority::Authority;
use crate::command::Change;
use crate::operations;
use crate::outcome::{Answered, Outcome};
use crate::permissions::{Action, Asker, permits};
use crate::reader::Context;
use crate::sealing::Keyring;

pub(crate) mod access;
pub(crate) mod command;
pub(crate) mod flags;
pub(crate) mod key;
pub(crate) mod material;
pub(crate) mod object;
pub(crate) mod rules;
mod session_floors;
mod store;

pub(crate) use command::ObjectCommand;
pub(crate) use key::OpenKeys;
use material::Draft;
pub(crate) use object::Object;
use rules::{Function, Who, check_transition};
pub(crate) use store::Objects;

/// Answers a request about objects or their use.
pub(crate) fn handle(context: &Context<'_>, ask: Ask) -> Outcome {
    let result = match ask {
        Ask::CreateObject(template) => create(context, &template),
        Ask::CopyObject(request) => copy(context, &request),
        Ask::DestroyObject(reference) => destroy(context, &reference),
        Ask::SetAttributes(request) => set_attributes(context, &request),
        Ask::GetAttributes(request) => get_attributes(context, &request).map(Outcome::answer),
        Ask::FindObjects(request) => find(context, &request).map(Outcome::answer),
        Ask::ObjectSize(reference) => {
            access::find(context, Some(&reference), Error::ObjectNotFound).map(|object| {
                let size = u64::try_from(object.bytes().len()).unwrap_or(u64::MAX);
                Outcome::answer(Answer::Number(size))
            })
        }
        ask => operations::handle(context, ask),
    };
    result.into()
}

/// What becomes of new objects: who made them, under which keys, in which log-in.
pub(crate) struct Making {
    authority: Authority,
    keyring: Arc<Keyring>,
    log_in: Option<Arc<crate::log_in::LogIn>>,
}

impl Making {
    /// Starts for the one who asked; goes with a job to a pool.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let keyring = Arc::clone(context.keyring);
        Self { authority: context.author(), keyring, log_in: context.log_in.map(Arc::clone) }
    }

    fn session(&self, mut draft: Draft) -> Result<MadeObject, Error> {
        let log_in = self.log_in.as_ref().ok_or(Error::LogInRequired)?;
        let session = access::seal_session(&self.keyring, log_in, &mut draft);
        let attributes = draft.header.all_visible(casemate_protocol::identity::ObjectNumber(0));
        let object = ObjectReference { number: 0, session: session.into() };
        Ok(MadeObject { object: Some(object), attributes: Some(attributes) })
    }

    /// Makes one object: in the client if it is a session object, else through the log.
    pub(crate) fn one(self, draft: Draft) -> Result<Outcome, Error> {
        self.one_with(draft, Answer::Made)
    }

    /// The same, with a last word on the answer.
    pub(crate) fn one_with(
        self,
        draft: Draft,
        answer: impl FnOnce(MadeObject) -> Answer + Send + 'static,
    ) -> Result<Outcome, Error> {
        check_size(&draft)?;
        if !draft.header.flags.has(AttributeType::Token) {
            return Ok(Outcome::answer(answer(self.session(draft)?)));
        }
        let sealed = access::seal_token(&self.keyring, &draft);
        let change = Change::Objects(ObjectCommand::Create(sealed));
        Ok(self.authority.propose_with(Action::ManageObjects, change, |mut reply| {
            reply.answer = reply.answer.map(|found| match found {
                Answer::Made(made) => answer(made),
                other => other,
            });
            Answered::new(reply)
        }))
    }

    /// Makes a pair; one half may be a session object and the other a token object.
    pub(crate) fn pair(self, public: Draft, private: Draft) -> Result<Outcome, Error> {
        check_size(&public)?;
        check_size(&private)?;
        let token = |draft: &Draft| draft.header.flags.has(AttributeType::Token);
        match (token(&public), token(&private)) {
            (true, true) => {
                let public = access::seal_token(&self.keyring, &public);
                let private = access::seal_token(&self.keyring, &private);
                let change = Change::Objects(ObjectCommand::CreatePair(public, private));
                Ok(self.authority.propose(Action::ManageObjects, change))
            }
            (false, false) => {
                let (public, private) = (Some(self.session(public)?), Some(self.session(private)?));
                Ok(Outcome::answer(Answer::PairMade(MadePair { public, private })))
            }
            (true, false) => {
                let private = Some(self.session(private)?);
                self.one_with(public, |public| {
                    Answer::PairMade(MadePair { public: Some(public), private })
                })
            }
            (false, true) => {
                let public = Some(self.session(public)?);
                self.one_with(private, |private| {
                    Answer::PairMade(MadePair { public, private: Some(private) })
                })
            }
        }
    }
}

fn check_size(draft: &Draft) -> Result<(), Error> {
    let bytes = draft.header.attributes.iter().map(|(_, value)| value.len()).sum::<usize>();
    if bytes > wire::OBJECT_BYTES_MAX { Err(Error::ObjectTooLarge) } else { Ok(()) }
}

fn create(context: &Context<'_>, template: &Template) -> Result<Outcome, Error> {
    template.check()?;
    let class = template
        .class()?
        .ok_or_else(|| Error::TemplateIncomplete(AttributeType::Class.number()))?;
    let key_type = template.key_type()?;
    if class.is_key() && key_type.is_none() {
        return Err(Error::TemplateIncomplete(AttributeType::KeyType.number()));
    }
    let key_type = key_type.filter(|_| class.is_key());
    let secret_class = class == ObjectClass::SecretKey;
    if key_type.is_some_and(|key_type| key_type.is_secret() != secret_class) {
        return Err(Error::TemplateInconsistent(AttributeType::KeyType.number()));
    }
    let header = material::header(context, template, Function::Create, class, key_type)?;
    let template = template.clone();
    let making = Making::new(context);
    let finish = move || {
        let mut draft = Draft::created(header, &template)?;
        draft.seal_flags(None, casemate_protocol::Mechanism::RsaPkcs);
        making.one(draft)
    };
    // Checking the numbers of a pair takes longer than serving a hundred others.
    if matches!(class, ObjectClass::PrivateKey | ObjectClass::PublicKey) {
        return Ok(Outcome::offload(move || finish().into()));
    }
    finish()
}

fn copy(context: &Context<'_>, request: &ObjectAndTemplate) -> Result<Outcome, Error> {
    let object = access::find(context, request.object.as_ref(), Error::ObjectNotFound)?;
    require_owner(context, &object)?;
    let template = request.template.clone().unwrap_or_default();
    let old = object.header();
    let mut header = rules::changed(&old, &template)?;
    check_transition(&old, &header, Who::Copier)?;
    let fresh =
        material::header(context, &Template::default(), Function::Create, old.class, old.key_type)?;
    header.id = fresh.id;
    header.generation = Generation(1);
    header.log_in = None;
    let material = access::material(context, &object)?;
    Making::new(context).one(Draft { header, material })
}

fn require_owner(context: &Context<'_>, object: &Object) -> Result<(), Error> {
    let log_in = context.log_in.ok_or(Error::LogInRequired)?;
    if object.owner() == log_in.user { Ok(()) } else { Err(Error::NotOwner) }
}

fn destroy(context: &Context<'_>, reference: &ObjectReference) -> Result<Outcome, Error> {
    let object = access::find(context, Some(reference), Error::ObjectNotFound)?;
    require_owner(context, &object)?;
    if !object.has(AttributeType::Destroyable) {
        return Err(Error::ActionProhibited);
    }
    let Some(log_in) = object.log_in() else {
        let change = Change::Objects(ObjectCommand::Destroy { number: object.number() });
        return Ok(context.propose(Action::ManageObjects, change));
    };
    if !outlives_the_client(&object) {
        return Ok(Outcome::answer(Answer::Done(Empty {})));
    }
    let floor = Generation(u64::MAX);
    let change = ObjectCommand::SessionFloor { log_in, object: object.header().id, floor };
    Ok(context.propose(Action::ManageObjects, Change::Objects(change)))
}

/// Whether an old form of a session object would be worth stealing: then its end is replicated; others do not pay for it.
fn outlives_the_client(object: &Object) -> bool {
    object.has(AttributeType::Sensitive) || object.has(AttributeType::AlwaysAuthenticate)
}

fn set_attributes(context: &Context<'_>, request: &ObjectAndTemplate) -> Result<Outcome, Error> {
    let role = context.log_in.map(|log_in| log_in.role);
    let (who, action) = if role == Some(Role::Admin) {
        (Who::Admin, Action::TrustKeys)
    } else {
        (Who::Owner, Action::ManageObjects)
    };
    permits(Asker::from(role), action)?;
    let object = access::find(context, request.object.as_ref(), Error::ObjectNotFound)?;
    if who == Who::Owner {
        require_owner(context, &object)?;
    }
    let template = request.template.clone().unwrap_or_default();
    let old = object.header();
    let mut header = rules::changed(&old, &template)?;
    check_transition(&old, &header, who)?;
    access::next_generation(&mut header);
    let material = access::material(context, &object)?;
    let lowered = old.flags.has(AttributeType::Extractable)
        && !header.flags.has(AttributeType::Extractable)
        || !old.flags.has(AttributeType::Sensitive) && header.flags.has(AttributeType::Sensitive)
        || outlives_the_client(&object);
    let draft = Draft { header, material };
    let Some(log_in) = object.log_in() else {
        let object_sealed = access::seal_token(context.keyring, &draft);
        let change = ObjectCommand::Replace { number: object.number(), object: object_sealed };
        return Ok(context.author().propose(action, Change::Objects(change)));
    };
    let (id, floor) = (draft.header.id, draft.header.generation);
    let making = Making::new(context);
    let made = making.session(draft)?;
    if !lowered {
        return Ok(Outcome::answer(Answer::Made(made)));
    }
    let change = Change::Objects(ObjectCommand::SessionFloor { log_in, object: id, floor });
    Ok(making.authority.propose_with(action, change, |mut reply| {
        if matches!(reply.answer, Some(Answer::Done(Empty {}))) {
            reply.answer = Some(Answer::Made(made));
        }
        Answered::new(reply)
    }))
}

fn get_attributes(context: &Context<'_>, request: &GetAttributes) -> Result<Answer, Error> {
    if request.attributes.len() > wire::TEMPLATE_ENTRIES_MAX {
        return Err(Error::TemplateTooLong);
    }
    let object = access::find(context, request.object.as_ref(), Error::ObjectNotFound)?;
    let header = object.header();
    let mut attributes = Vec::with_capacity(request.attributes.len());
    if request.attributes.is_empty() {
        let all = header.all_visible(object.number()).attributes.into_iter();
        attributes.extend(all.map(|entry| AttributeAnswer {
            number: entry.number,
            value: entry.value,
            error: None,
        }));
    }
    for &number in &request.attributes {
        let found = get_attribute(context, &object, &header, number);
        let (value, error) = match found {
            Ok(value) => (value, None),
            Err(error) => (Vec::new(), Some(error.into())),
        };
        attributes.push(AttributeAnswer { number, value, error });
    }
    Ok(Answer::Attributes(Attributes { attributes }))
}

fn get_attribute(
    context: &Context<'_>,
    object: &Arc<Object>,
    header: &object::Header,
    number: u64,
) -> Result<Vec<u8>, Error> {
    let unknown = Error::AttributeTypeInvalid(number);
    let attribute = AttributeType::from_number(number).ok_or(unknown)?;
    if !attribute.row().classes.contains(header.class) {
        return Err(unknown);
    }
    if !attribute.is_key_material(header.class) {
        return header.visible(object.number(), attribute).ok_or(unknown);
    }
    let hidden =
        header.flags.has(AttributeType::Sensitive) || !header.flags.has(AttributeType::Extractable);
    let own = context
        .log_in
        .is_some_and(|log_in| log_in.role == Role::CryptoUser && object.owner() == log_in.user);
    if hidden || !own {
        return Err(Error::AttributeSensitive(number));
    }
    let key = access::open(context, object)?;
    let value = material::secret_value(&key, attribute).ok_or(unknown)?;
    Ok(value.expose().to_vec())
}

fn find(context: &Context<'_>, request: &FindObjects) -> Result<Answer, Error> {
    let template = request.template.clone().unwrap_or_default();
    if template.attributes.len() > wire::TEMPLATE_ENTRIES_MAX {
        return Err(Error::TemplateTooLong);
    }
    let page =
        if request.attributes.is_empty() { wire::FIND_PAGE_MAX } else { wire::FIND_PAGE_MAX / 10 };
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let limit = if limit == 0 { page } else { limit.min(page) };
    let class = match template.number(AttributeType::Class) {
        Ok(None) => None,
        // A class that no object has, or a value that is none: nothing is found.
        Ok(Some(number)) => match ObjectClass::from_number(number) {
            None => return Ok(Answer::Found(Found::default())),
            class => class,
        },
        Err(_) => return Ok(Answer::Found(Found::default())),
    };
    let mut found = Found::default();
    let mut bytes = 0_usize;
    for object in context.state.objects.candidates(&template, class, request.after) {
        if !access::may_see(context, object) || !matches(object, &template) {
            continue;
        }
        let count = found.numbers.len().saturating_add(found.objects.len());
        if count >= limit || bytes > wire::FRAME_BYTES_MAX / 2 {
            found.more = true;
            break;
        }
        if request.attributes.is_empty() {
            found.numbers.push(object.number().0);
        } else {
            let entry = found_object(context, object, &request.attributes);
            bytes = bytes.saturating_add(object.bytes().len());
            found.objects.push(entry);
        }
    }
    Ok(Answer::Found(found))
}

/// Whether an object has every attribute of the template. Secret values never match: a search is no oracle.
fn matches(object: &Object, template: &Template) -> bool {
    if template.attributes.is_empty() {
        return true;
    }
    let header = object.header();
    template.attributes.iter().all(|entry| {
        entry.attribute().is_ok_and(|attribute| {
            header.visible(object.number(), attribute).as_deref() == Some(entry.value.as_slice())
        })
    })
}

fn found_object(context: &Context<'_>, object: &Object, attributes: &[u64]) -> FoundObject {
    let header = object.header();
    let admin = context.log_in.is_some_and(|log_in| log_in.role == Role::Admin);
    let mut template = Template::default();
    for attribute in attributes.iter().filter_map(|number| AttributeType::from_number(*number)) {
        if admin && attribute != AttributeType::Label {
            continue;
        }
        if let Some(value) = header.visible(object.number(), attribute) {
            template.set(casemate_protocol::Attribute::new(attribute, value));
        }
    }
    let owner = context.state.users.get(object.owner()).map(|user| user.name.to_string());
    FoundObject {
        number: object.number().0,
        attributes: Some(template),
        owner: owner.unwrap_or_default(),
    }
}

/// Writes what a state that goes with a multi-part operation is bound to: the key and its generation.
pub(crate) fn binding(object: &Object, writer: &mut Writer) {
    let header = object.header();
    writer.fixed(header.id.as_bytes()).u64(header.generation.0);
}
