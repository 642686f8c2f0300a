//! Printable: text of strangers, such as the origin in a list, as it may go to a terminal.

/// The text without what moves a cursor, changes a colour or turns the direction of reading: such
/// characters are written as escapes. Lines stay lines.
pub fn printable(text: &str) -> String {
    let escape = |c: char| (c.is_control() && c != '\n') || turns_direction(c);
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if escape(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// The marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm.
fn turns_direction(c: char) -> bool {
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    marks.contains(&c) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_the_rest_stays() {
        let evil = "log\u{9b}31m\u{1b}[0m\u{7f}\u{202e}\u{2066}\u{61c}";
        let shown = printable(evil);
        assert_eq!(shown, "log\\u{9b}31m\\u{1b}[0m\\u{7f}\\u{202e}\\u{2066}\\u{61c}");
        assert_eq!(printable("an \u{e9} origin\n"), "an \u{e9} origin\n");
    }
}
