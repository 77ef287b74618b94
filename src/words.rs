//! What the caller's errors say.

use std::error::Error;
use std::fmt::Write;

use crate::{contained, BoxError};

/// How many causes of an error are looked at. `Error::source` is the caller's, and may lead in a circle.
const CAUSES: usize = 16;

/// An error and its causes. A panic of `source` ends them.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let source = |error: &&'a (dyn Error + 'static)| {
        let error = *error;
        contained::call(|| error.source()).ok().flatten()
    };
    std::iter::successors(Some(error), source).take(1 + CAUSES)
}

/// Returns what an error says with its causes, which is where clients say what really happened. Neither a message nor a
/// `source` that panics gets out of this.
pub(crate) fn of_error(error: &(dyn Error + 'static)) -> String {
    let mut words = String::new();
    for error in chain(error) {
        let said = of_one(error);
        // Some errors say what their cause says.
        match words.is_empty() {
            true => words = said,
            false if words.ends_with(&said) => {}
            false => words = format!("{words}: {said}"),
        }
    }
    words
}

/// The same for an error that ends here: it is [discarded](contained::discard).
pub(crate) fn of_last(error: BoxError) -> String {
    let words = of_error(&*error);
    contained::discard(error);
    words
}

/// What was written before a failure is kept.
fn of_one(error: &dyn Error) -> String {
    let mut said = String::new();
    let written = contained::call(|| write!(said, "{error}"));
    if let Err(panic) = written {
        said.push_str(if said.is_empty() { "" } else { " " });
        said.push_str(&format!("(its message panicked: {panic})"));
    }
    match said.is_empty() {
        true => "(no message)".into(),
        false => said,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// What it says, and what its cause is.
    #[derive(Debug)]
    struct Layer(fn(&mut fmt::Formatter<'_>) -> fmt::Result, Cause);

    #[derive(Debug)]
    enum Cause {
        None,
        Is(Box<Layer>),
        Itself,
        Panics,
    }

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0(f)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match &self.1 {
                Cause::None => None,
                Cause::Is(cause) => Some(&**cause),
                Cause::Itself => Some(self),
                Cause::Panics => panic!("no cause"),
            }
        }
    }

    fn caused_by(cause: Layer) -> Cause {
        Cause::Is(Box::new(cause))
    }

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        let cause = Layer(|f| f.write_str("connection refused"), Cause::None);
        let says_both = |f: &mut fmt::Formatter<'_>| f.write_str("connect: connection refused");
        let middle = Layer(says_both, caused_by(cause));
        let error = Layer(|f| f.write_str("client error"), caused_by(middle));
        let words = of_error(&error);
        assert_eq!(words, "client error: connect: connection refused");
    }

    #[test]
    fn causes_that_lead_in_a_circle_or_panic_end() {
        for cause in [Cause::Itself, Cause::Panics] {
            let error = Layer(|f| f.write_str("refused"), cause);
            assert_eq!(of_error(&error), "refused");
        }
        let endless = (0..1000).fold(Cause::None, |cause, _| {
            caused_by(Layer(|f| f.write_str("a"), cause))
        });
        let error = Layer(|f| f.write_str("refused"), endless);
        assert_eq!(chain(&error).count(), 1 + CAUSES);
    }

    #[test]
    fn a_message_that_fails_or_panics_is_told_as_far_as_it_came() {
        let cases: [(Layer, &str); 5] = [
            (Layer(|_| Ok(()), Cause::None), "(no message)"),
            (Layer(|_| Err(fmt::Error), Cause::None), "(no message)"),
            (
                Layer(|f| f.write_str("half").and(Err(fmt::Error)), Cause::None),
                "half",
            ),
            (
                Layer(|_| panic!("no words"), Cause::None),
                "(its message panicked: no words)",
            ),
            (
                Layer(
                    |f| f.write_str("half").map(|()| panic!("no words")),
                    Cause::None,
                ),
                "half (its message panicked: no words)",
            ),
        ];
        for (error, words) in cases {
            assert_eq!(of_error(&error), words);
            let error = Layer(|f| f.write_str("outer"), caused_by(error));
            assert_eq!(of_last(Box::new(error)), format!("outer: {words}"));
        }
    }
}
