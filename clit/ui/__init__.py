"""The web page: `site` holds all visitors, `questions` answers the viewer, `page` puts both behind gradio."""
