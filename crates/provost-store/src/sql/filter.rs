//! A `SELECT` whose conditions are known only when it is asked.

use std::fmt::Write;

use sqlx::AssertSqlSafe;

use super::transaction::Statement;

/// A `SELECT` being put together. Its text is only ever ours; values are arguments.
pub(super) struct Filter {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
}

impl Filter {
    /// Starts with `select`, which has a `WHERE`.
    pub(super) fn new(select: &'static str) -> Self {
        Self { text: select.to_owned(), values: Vec::new() }
    }

    /// Adds a condition that has no value.
    pub(super) fn and(&mut self, condition: &'static str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// Adds the condition `comparison text`, if there is a text.
    pub(super) fn text(&mut self, comparison: &'static str, text: Option<impl ToString>) {
        if let Some(text) = text {
            self.and(comparison);
            self.value(Value::Text(text.to_string()));
        }
    }

    /// Adds the condition `comparison number`, if there is a number.
    pub(super) fn number(&mut self, comparison: &'static str, number: Option<i64>) {
        if let Some(number) = number {
            self.and(comparison);
            self.value(Value::Number(number));
        }
    }

    /// Adds the condition `before text after`: a call that has the text as its last argument.
    pub(super) fn call(&mut self, before: &'static str, text: String, after: &'static str) {
        self.and(before);
        self.value(Value::Text(text));
        self.text.push_str(after);
    }

    /// Ends with `order` and at most `limit` rows.
    pub(super) fn into_statement(
        mut self,
        order: &'static str,
        limit: u32,
    ) -> Statement<'static> {
        self.text.push(' ');
        self.text.push_str(order);
        self.text.push_str(" LIMIT");
        self.value(Value::Number(limit.into()));
        let mut statement = sqlx::query(AssertSqlSafe(self.text));
        for value in self.values {
            statement = match value {
                Value::Text(text) => statement.bind(text),
                Value::Number(number) => statement.bind(number),
            };
        }
        statement
    }

    fn value(&mut self, value: Value) {
        self.values.push(value);
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, " ${}", self.values.len());
    }
}
