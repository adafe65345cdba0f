//! Reads the configuration from its sources and says exactly what is wrong.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::finding::{Finding, Place};
use super::value::HttpOrigin;
use super::{Config, Resolved, Route, check, explain, locate};

const DEFAULT_FILE: &str = "fortissimo.toml";
const PREFIX: &str = "FORTISSIMO__";
/// A configuration file larger than this is surely the wrong file.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where settings come from, weakest first: defaults, file, environment, command line.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named with `--config`; `None`: `fortissimo.toml` if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `FORTISSIMO__` are ignored.
    pub environment: Vec<(String, String)>,
    /// Command-line options.
    pub flags: Flags,
    /// For a command beside a running server: a policy folder that somebody is just writing is a warning, because the
    /// server goes on with what was loaded, and the command may be what puts it right.
    pub beside: bool,
}

/// Settings given on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Public listener, for example 127.0.0.1:8080
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Folder for everything the program keeps
    #[arg(long, global = true, value_name = "PATH")]
    pub data_dir: Option<String>,
    /// Put this service behind the gateway, for signed-in people, after the routes of the file
    #[arg(long, global = true, value_name = "URL")]
    pub upstream: Option<String>,
}

/// A configuration that passed every check.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration as written.
    pub config: Config,
    /// With everything filled in that follows from other settings.
    pub resolved: Resolved,
    /// What is allowed but doubtful.
    pub warnings: Vec<Finding>,
    /// The file it came from, if any.
    pub file: Option<PathBuf>,
}

/// One setting from outside the file.
struct Override {
    place: Place,
    path: Vec<String>,
    /// What the text may mean, best guess first.
    values: Vec<Value>,
}

/// Knows where each setting came from.
pub(super) struct Origins {
    file: Option<(String, String)>,
    overrides: Vec<(Place, Vec<String>)>,
}

impl Origins {
    /// A finding about a setting, at the strongest source that names it. If only its section is written down, the
    /// message names the setting.
    pub(super) fn finding(&self, path: &[&str], message: &str) -> Finding {
        let named = |(_, at): &&(Place, Vec<String>)| {
            at.len() <= path.len() && at.iter().zip(path).all(|(a, b)| a == b)
        };
        if let Some((place, _)) = self.overrides.iter().rev().find(named) {
            return Finding { place: place.clone(), message: message.to_owned() };
        }
        let setting = path.join(".");
        match self.file.as_ref().and_then(|(name, text)| locate::find(name, text, path)) {
            Some((place, true)) => Finding { place, message: message.to_owned() },
            Some((place, false)) => Finding { place, message: format!("{setting}: {message}") },
            None => Finding { place: Place::General(setting), message: message.to_owned() },
        }
    }
}

/// Loads, parses and checks. Everything that is wrong is returned at once where that is possible; a list of
/// errors is never empty.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Finding>> {
    let file = read(sources.file.as_deref()).map_err(|finding| vec![finding])?;
    let (mut table, mut config) = match &file {
        None => (Table::new(), Config::default()),
        Some((path, text)) => parse(&path.display().to_string(), text).map_err(|finding| vec![finding])?,
    };
    let mut origins = Origins {
        file: file.as_ref().map(|(path, text)| (path.display().to_string(), text.clone())),
        overrides: Vec::new(),
    };
    let (overrides, mut errors) = overrides(sources);
    for over in overrides {
        match over.apply(&table) {
            Ok(applied) => {
                (table, config) = applied;
                origins.overrides.push((over.place, over.path));
            }
            Err(finding) => errors.push(finding),
        }
    }
    if let Some(url) = &sources.flags.upstream {
        match url.parse::<HttpOrigin>() {
            Ok(upstream) => {
                origins
                    .overrides
                    .push((Place::Flag("--upstream"), vec!["route".into(), config.route.len().to_string()]));
                config.route.push(Route::catch_all(upstream));
            }
            Err(message) => errors.push(Finding { place: Place::Flag("--upstream"), message }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let resolved = config.resolve();
    let warnings = check::check(&resolved, &origins, sources.beside)?;
    Ok(Loaded { config, resolved, warnings, file: file.map(|(path, _)| path) })
}

/// Checks a configuration that was made by a program; returns it with everything filled in, and warnings.
pub fn validate(config: &Config) -> Result<(Resolved, Vec<Finding>), Vec<Finding>> {
    let resolved = config.resolve();
    let warnings = check::check(&resolved, &Origins { file: None, overrides: Vec::new() }, false)?;
    Ok((resolved, warnings))
}

fn read(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, Finding> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let wrong = |message: String| Finding { place: Place::General(path.display().to_string()), message };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(None),
        Err(error) => return Err(wrong(format!("cannot read the configuration: {error}"))),
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            return Err(wrong("larger than 4 MiB; is it the right file?".into()));
        }
        Ok(_) => {}
    }
    let bytes =
        std::fs::read(path).map_err(|error| wrong(format!("cannot read the configuration: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text; is it the right file?".into()))?;
    Ok(Some((path.to_owned(), text)))
}

fn parse(file: &str, text: &str) -> Result<(Table, Config), Finding> {
    let finding = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        Finding { place: locate::place_of(file, text, offset), message: explain::explain(error.message()) }
    };
    let table: Table = toml::from_str(text).map_err(finding)?;
    let config = toml::from_str(text).map_err(finding)?;
    Ok((table, config))
}

fn overrides(sources: &Sources) -> (Vec<Override>, Vec<Finding>) {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut variables: Vec<_> =
        sources.environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        let place = Place::Variable(name.clone());
        if path.iter().any(String::is_empty) {
            let message = "expected a name such as FORTISSIMO__SERVER__LISTEN".to_owned();
            errors.push(Finding { place, message });
        } else {
            found.push(Override { place, path, values: readings(value) });
        }
    }
    let flags = &sources.flags;
    for (flag, key, value) in
        [("--listen", "listen", &flags.listen), ("--data-dir", "data_dir", &flags.data_dir)]
    {
        if let Some(value) = value {
            let path = vec!["server".to_owned(), key.to_owned()];
            found.push(Override {
                place: Place::Flag(flag),
                path,
                values: vec![Value::String(value.clone())],
            });
        }
    }
    (found, errors)
}

/// A variable's text is a TOML value if it reads as one, else a string. A text such as `1234` can be meant
/// either way, so both are tried.
fn readings(text: &str) -> Vec<Value> {
    let plain = Value::String(text.to_owned());
    match toml::from_str::<Table>(&format!("v = {text}")) {
        Ok(mut table) if table.len() == 1 => table.remove("v").into_iter().chain([plain]).collect(),
        _ => vec![plain],
    }
}

impl Override {
    fn apply(&self, table: &Table) -> Result<(Table, Config), Finding> {
        let mut first_error = None;
        for value in &self.values {
            let mut root = Value::Table(table.clone());
            let outcome = set(&mut root, &self.path, value.clone()).and_then(|()| {
                Config::deserialize(root.clone()).map_err(|error| explain::explain(error.message()))
            });
            match (outcome, root) {
                (Ok(config), Value::Table(table)) => return Ok((table, config)),
                (Err(message), _) => first_error = first_error.or(Some(message)),
                (Ok(_), _) => {}
            }
        }
        let message = first_error.unwrap_or_else(|| "cannot be read".to_owned());
        Err(Finding { place: self.place.clone(), message })
    }
}

fn set(root: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *root = value;
        return Ok(());
    };
    match root {
        Value::Table(table) => {
            let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            set(inner, rest, value)
        }
        Value::Array(array) => {
            let length = array.len();
            let index = first.parse::<usize>().ok().filter(|index| *index < length);
            let index = index
                .ok_or_else(|| format!("`{first}` is not one of the {length} entries, counted from 0"))?;
            set(&mut array[index], rest, value)
        }
        _ => Err(format!("unknown key `{first}`: what stands before it is a single value")),
    }
}
