use std::ops::Range;

use toml_edit::{Document, DocumentMut, Item, Table, TableLike, Value};

/// Byte range of the key or value at a dotted path, the value's if `value` is set. Falls back to
/// the longest prefix of the path that is in the document.
pub fn locate(text: &str, path: &str, value: bool) -> Option<Range<usize>> {
    let document = Document::parse(text.to_owned()).ok()?;
    let mut table: &dyn TableLike = document.as_table();
    let mut found = None;
    let segments: Vec<&str> = path.split('.').collect();
    for (depth, segment) in segments.iter().enumerate() {
        let Some((key, item)) = table.get_key_value(segment) else { break };
        let last = depth + 1 == segments.len();
        found = if last && value { item.span().or(key.span()) } else { key.span().or(item.span()) };
        match item.as_table_like() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    found
}

/// Byte range of the first key of this name inside `within`.
pub fn find_key(text: &str, name: &str, within: Option<Range<usize>>) -> Option<Range<usize>> {
    let document = Document::parse(text.to_owned()).ok()?;
    let inside =
        |span: &Range<usize>| within.as_ref().is_none_or(|w| w.start <= span.start && span.end <= w.end);
    find_in(document.as_table(), name, &inside).or_else(|| find_in(document.as_table(), name, &|_| true))
}

fn find_in(
    table: &dyn TableLike,
    name: &str,
    inside: &dyn Fn(&Range<usize>) -> bool,
) -> Option<Range<usize>> {
    for (key, item) in table.iter() {
        if key == name {
            let span = table.get_key_value(key).and_then(|(key, _)| key.span());
            if let Some(span) = span.filter(|span| inside(span)) {
                return Some(span);
            }
        }
        if let Some(found) = item.as_table_like().and_then(|inner| find_in(inner, name, inside)) {
            return Some(found);
        }
    }
    None
}

/// Writes `key=value` into the document; the value is TOML, or text where it is not.
pub fn set(document: &mut DocumentMut, assignment: &str) -> Result<(), String> {
    let (path, text) = assignment
        .split_once('=')
        .ok_or_else(|| format!("--set {assignment}: expected key=value, such as train.epochs_max=3"))?;
    let value: Value = text.trim().parse().unwrap_or_else(|_| Value::from(text.trim()));
    let mut segments: Vec<&str> = path.trim().split('.').collect();
    let last = segments
        .pop()
        .filter(|key| !key.is_empty())
        .ok_or_else(|| format!("--set {assignment}: the key is empty"))?;
    let mut item: &mut Item = document.as_item_mut();
    for segment in segments {
        let table = item
            .as_table_like_mut()
            .ok_or_else(|| format!("--set {assignment}: {segment} is not inside a table"))?;
        item = table.entry(segment).or_insert(Item::Table(Table::new()));
    }
    let table = item
        .as_table_like_mut()
        .ok_or_else(|| format!("--set {assignment}: {path} is not inside a table"))?;
    table.insert(last, Item::Value(value));
    Ok(())
}
