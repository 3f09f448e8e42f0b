//! `elman tasks`

use crate::args::List;
use crate::failure::Failure;
use crate::output;
use elman_tasks::tasks::REGISTRY;
use serde_json::json;

pub fn run(command: &List) -> Result<(), Failure> {
    if command.json {
        let tasks: Vec<_> = REGISTRY
            .iter()
            .map(|task| {
                let settings: Vec<_> = task
                    .settings
                    .iter()
                    .map(|s| json!({"key": s.key, "help": s.help, "range": s.range(), "default": s.default_text()}))
                    .collect();
                json!({"name": task.name, "summary": task.summary, "doc": task.doc, "settings": settings})
            })
            .collect();
        return output::json([("tasks".to_string(), tasks.into())].into_iter().collect());
    }
    let text = |task: &elman_tasks::Task| {
        let doc: String = task.doc.lines().map(|line| format!("  {line}").trim_end().to_string() + "\n").collect();
        format!("{}  {}\n\n{doc}", task.name, task.summary)
    };
    output::text(&REGISTRY.iter().map(text).collect::<Vec<_>>().join("\n"))
}
