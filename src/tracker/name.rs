//! A request's method and path, copied inline: cloning a `Uri` may allocate, and `call` gives the request away.

use std::fmt;

use http::{Method, Uri};

const ROOM: usize = 62;

/// `METHOD path`, cut to what fits; never the query.
#[derive(Clone)]
pub(crate) struct Name {
    text: [u8; ROOM],
    method: u8,
    len: u8,
}

impl Name {
    pub(crate) fn none() -> Self {
        Self {
            text: [0; ROOM],
            method: 0,
            len: 0,
        }
    }

    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let mut name = Self::none();
        name.method = name.push(method.as_str());
        let (room, path) = (ROOM - usize::from(name.len), uri.path());
        if path.len() <= room {
            name.push(path);
        } else {
            name.push(&path[..floor_char_boundary(path, room.saturating_sub("…".len()))]);
            name.push("…");
        }
        name
    }

    fn push(&mut self, text: &str) -> u8 {
        let start = usize::from(self.len);
        let text = &text[..floor_char_boundary(text, ROOM - start)];
        self.text[start..start + text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        self.len
    }

    fn is_none(&self) -> bool {
        self.len == 0
    }

    fn text(&self, from: u8, to: u8) -> Option<&str> {
        std::str::from_utf8(&self.text[usize::from(from)..usize::from(to)]).ok()
    }

    pub(crate) fn method(&self) -> Option<&str> {
        self.text(0, self.method).filter(|_| !self.is_none())
    }

    pub(crate) fn path(&self) -> Option<&str> {
        self.text(self.method, self.len).filter(|_| !self.is_none())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name")
            .field(&self.method())
            .field(&self.path())
            .finish()
    }
}

fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_left_out_and_a_long_path_is_cut() {
        let name = Name::of(&Method::GET, &Uri::from_static("/events?token=secret"));
        assert_eq!((name.method(), name.path()), (Some("GET"), Some("/events")));

        let long = format!("/{}", "a".repeat(200));
        let name = Name::of(&Method::DELETE, &long.parse().unwrap());
        let path = name.path().unwrap();
        assert!(path.ends_with("a…") && path.len() == ROOM - "DELETE".len());
    }

    #[test]
    fn a_long_extension_method_leaves_no_room_and_breaks_nothing() {
        let method = Method::from_bytes("M".repeat(100).as_bytes()).unwrap();
        let name = Name::of(&method, &Uri::from_static("/events"));
        assert_eq!(name.method().unwrap().len(), ROOM);
    }

    #[test]
    fn no_name_has_no_parts() {
        assert_eq!((Name::none().method(), Name::none().path()), (None, None));
    }
}
