//! Searches: session objects first, which are here, then pages of token objects, each with its own request.

use casemate_protocol::messages::{Answer, Ask, FindObjects};
use casemate_protocol::{AttributeType, Template, limits};
use cryptoki_sys as ck;

use crate::code::Result;
use crate::library::{Library, unexpected};

/// A search that was begun.
pub(crate) struct Find {
    template: Template,
    found: std::collections::VecDeque<ck::CK_OBJECT_HANDLE>,
    after: u64,
    more: bool,
}

impl Find {
    /// Begins.
    pub(crate) fn begin(library: &Library, template: Template) -> Self {
        let token = template.flag(AttributeType::Token).ok().flatten();
        let session = token != Some(true);
        let found = if session { library.objects.matching(&template) } else { Vec::new() };
        Self { template, found: found.into(), after: 0, more: token != Some(false) }
    }

    /// Returns the next objects, at most so many.
    ///
    /// # Errors
    /// The code of the cause.
    pub(crate) fn next(
        &mut self,
        library: &Library,
        most: usize,
    ) -> Result<Vec<ck::CK_OBJECT_HANDLE>> {
        while self.more && self.found.len() < most {
            let wanted = most.saturating_sub(self.found.len()).clamp(16, limits::FIND_PAGE_MAX);
            let request = FindObjects {
                template: Some(self.template.clone()),
                after: self.after,
                limit: wanted as u64,
                attributes: Vec::new(),
            };
            let Answer::Found(page) = library.call(Ask::FindObjects(request))? else {
                return unexpected();
            };
            self.more = page.more && !page.numbers.is_empty();
            self.after = page.numbers.last().copied().unwrap_or(self.after);
            self.found.extend(page.numbers);
        }
        let count = most.min(self.found.len());
        Ok(self.found.drain(..count).collect())
    }
}
