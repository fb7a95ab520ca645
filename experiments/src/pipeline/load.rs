use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceSpan};
use toml_edit::DocumentMut;

use super::config::Pipeline;
use super::{document, validate};

/// What the command line adds to the file.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `key=value` pairs that replace or add settings.
    pub set: Vec<String>,
}

/// A pipeline file that was read and checked.
#[derive(Clone, Debug)]
pub struct LoadedPipeline {
    /// The settings, defaults filled in.
    pub pipeline: Pipeline,
    /// The file.
    pub path: PathBuf,
    /// Folder that relative paths in the file start from.
    pub base_dir: PathBuf,
}

/// Why a pipeline file cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum PipelineError {
    /// It cannot be read.
    #[error("cannot read the pipeline file {path}: {source}")]
    #[diagnostic(help("PIPELINE is a pipeline.toml or a folder that holds one"))]
    Read {
        /// File at fault.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A `--set` is malformed.
    #[error("{0}")]
    Set(String),
    /// What it says is wrong; every problem that was found.
    #[error("{} {} in {path}", problems.len(), if problems.len() == 1 { "problem" } else { "problems" })]
    Invalid {
        /// File at fault.
        path: String,
        /// All problems, in the order of the file.
        #[related]
        problems: Vec<Problem>,
    },
}

/// One problem in a pipeline file.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Key at fault, dotted from the root; empty when the text is not TOML.
    pub key: String,
    /// What to do.
    pub help: Option<String>,
    /// Line, from 1.
    pub line: usize,
    source_code: NamedSource<String>,
    span: Option<Range<usize>>,
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.span.as_ref().map(|_| &self.source_code as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        let label = if self.key.is_empty() { "here".to_owned() } else { self.key.clone() };
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some(label), SourceSpan::from(span)))))
    }
}

/// Reads and checks a pipeline file; opens nothing it names.
pub fn load(path: &Path, options: &LoadOptions) -> Result<LoadedPipeline, PipelineError> {
    let path = if path.is_dir() { path.join("pipeline.toml") } else { path.to_owned() };
    let text = std::fs::read_to_string(&path)
        .map_err(|source| PipelineError::Read { path: path.clone(), source })?;
    let base_dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let text = with_settings(text, options)?;
    let pipeline = parse(&path.display().to_string(), &text)?;
    Ok(LoadedPipeline { pipeline, path, base_dir })
}

fn with_settings(text: String, options: &LoadOptions) -> Result<String, PipelineError> {
    if options.set.is_empty() {
        return Ok(text);
    }
    // A file that does not parse is reported with its own text.
    let Ok(mut document) = text.parse::<DocumentMut>() else { return Ok(text) };
    for assignment in &options.set {
        document::set(&mut document, assignment).map_err(PipelineError::Set)?;
    }
    // A setting of the model may make its table, which must then say its kind.
    if let Some(model) = document.get_mut("model").and_then(|model| model.as_table_like_mut())
        && !model.contains_key("kind")
    {
        model.insert("kind", toml_edit::value("mlp"));
    }
    Ok(document.to_string())
}

pub(super) fn parse(name: &str, text: &str) -> Result<Pipeline, PipelineError> {
    let file = File { name, text };
    let expanded = expand_environment(&file)?;
    let file = File { name, text: &expanded };
    let mut pipeline: Pipeline =
        toml::from_str(&expanded).map_err(|error| file.invalid(vec![file.problem_of(&error)]))?;
    in_order_of_declaration(&mut pipeline, &expanded);
    let findings = validate::check(&pipeline);
    if findings.is_empty() {
        return Ok(pipeline);
    }
    let mut problems: Vec<Problem> = findings
        .into_iter()
        .map(|finding| {
            let span = document::locate(&expanded, &finding.key, true);
            file.problem(finding.message, finding.key, finding.help, span)
        })
        .collect();
    problems.sort_by_key(|problem| problem.line);
    Err(file.invalid(problems))
}

/// Replaces `${NAME}` by the environment variable, so that secrets stay out of the file.
fn expand_environment(file: &File<'_>) -> Result<String, PipelineError> {
    let mut expanded = String::with_capacity(file.text.len());
    let mut rest = file.text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else { break };
        let name = &rest[start + 2..start + 2 + length];
        let value = std::env::var(name).map_err(|_| {
            let at = file.text.len() - rest.len() + start;
            file.invalid(vec![file.problem(
                format!("the environment variable {name} is not set"),
                String::new(),
                Some(format!("export {name}=... before running")),
                Some(at..at + length + 3),
            )])
        })?;
        expanded.push_str(&rest[..start]);
        expanded.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
        rest = &rest[start + 3 + length..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn invalid(&self, problems: Vec<Problem>) -> PipelineError {
        PipelineError::Invalid { path: self.name.to_owned(), problems }
    }

    fn problem(
        &self,
        message: String,
        key: String,
        help: Option<String>,
        span: Option<Range<usize>>,
    ) -> Problem {
        let start = span.as_ref().map_or(0, |span| span.start.min(self.text.len()));
        let line = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let source_code = NamedSource::new(self.name, self.text.to_owned()).with_language("TOML");
        Problem { message, key, help, line, source_code, span }
    }

    /// serde names the field at fault and the fields it knows; the rest is finding the place.
    fn problem_of(&self, error: &toml::de::Error) -> Problem {
        let mut message = error.message().trim().to_owned();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let mut span = error.span();
        let (mut key, mut help) = (String::new(), None);
        if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let wrong = quoted.next().unwrap_or_default().to_owned();
            let known: Vec<&str> = quoted.collect();
            if message.starts_with("unknown field") {
                span = document::find_key(self.text, &wrong, span.clone()).or(span);
            }
            help = Some(match nearest(&wrong, known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`? Known here: {}", known.join(", ")),
                None => format!("known here: {}", known.join(", ")),
            });
            key = wrong;
            // The help has the known ones.
            message.truncate(message.find(", expected").unwrap_or(message.len()));
        } else if message.starts_with("missing field") {
            key = quoted.next().unwrap_or_default().to_owned();
            help = Some(format!("add `{key} = ...`; docs/reference.md describes it"));
        }
        self.problem(message, key, help, span)
    }
}

/// The parser sorts tables by name; columns and features keep the order in which they are declared.
fn in_order_of_declaration(pipeline: &mut Pipeline, text: &str) {
    let Ok(document) = text.parse::<DocumentMut>() else { return };
    sort(&mut pipeline.schema.columns, &document, ["schema", "columns"]);
    sort(&mut pipeline.features.sql, &document, ["features", "sql"]);
}

fn sort<T>(map: &mut IndexMap<String, T>, document: &DocumentMut, path: [&str; 2]) {
    let table = path.iter().try_fold(document.as_item(), |item, key| item.get(key));
    let Some(table) = table.and_then(toml_edit::Item::as_table_like) else { return };
    let places: HashMap<&str, usize> = table.iter().zip(0..).map(|((key, _), place)| (key, place)).collect();
    map.sort_by(|a, _, b, _| places.get(a.as_str()).cmp(&places.get(b.as_str())));
}

/// The known name most like `wrong`, if one is like it at all.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(wrong.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
