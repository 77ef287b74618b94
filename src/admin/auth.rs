use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, AUTHORIZATION};
use subtle::ConstantTimeEq;

use crate::RequestHead;

/// A token that nobody could send, from [`Admin::new`](crate::Admin::new). It never says what the token was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// It is empty: anybody would have it.
    Empty,
    /// It has a character that is not visible ASCII, such as the line feed at the end of a file that it was read from.
    #[non_exhaustive]
    Unsendable {
        /// At which byte, from zero.
        at: usize,
        /// How many bytes it has.
        len: usize,
    },
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the administration token is empty: set one, or serve no administration"),
            Self::Unsendable { at, len } => write!(
                f,
                "byte {at} of the {len} of the administration token is not a visible ASCII character and cannot be \
                 sent in a header: trim it, or make another one"
            ),
        }
    }
}

impl Error for TokenError {}

type Judge = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;

/// Who may.
#[derive(Clone)]
pub(super) enum Auth {
    Bearer(Arc<str>),
    Judge(Arc<Judge>),
}

impl Auth {
    pub(super) fn bearer(token: String) -> Result<Self, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        match token.bytes().position(|byte| !byte.is_ascii_graphic()) {
            Some(at) => Err(TokenError::Unsendable {
                at,
                len: token.len(),
            }),
            None => Ok(Self::Bearer(token.into())),
        }
    }

    pub(super) fn allows(&self, head: &RequestHead<'_>) -> bool {
        match self {
            Self::Bearer(token) => {
                sent_token(head.headers()).is_some_and(|sent| sent.ct_eq(token.as_bytes()).into())
            }
            Self::Judge(judge) => judge(head),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Judge(_) => "Judge(..)",
        })
    }
}

/// The credentials of the one `authorization: Bearer ..` (RFC 6750, section 2.1; the scheme in any case, RFC 9110,
/// section 11.1). Of two headers it is not known which one a proxy in front has looked at.
fn sent_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (sent.next(), sent.next()) else {
        return None;
    };
    let (scheme, token) = only.as_bytes().split_at(only.len().min(7));
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    let start = token.iter().position(|&byte| byte != b' ')?;
    is_bearer.then(|| &token[start..])
}
