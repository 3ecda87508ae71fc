"""What commands do anew in every process, done once in the server that they are forked from: compiled templates."""

from biotune.report.templating import Sentences, page_template

Sentences("run.txt")
page_template("page.html")
