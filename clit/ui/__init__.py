"""The web page. `session` is what the server remembers and answers, without gradio; `page` puts it behind gradio."""
