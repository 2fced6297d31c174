// @ts-check
// How a program asks this very server, and texts to copy.

import { $ } from "./dom.js";
import { serverUrl } from "./server.js";

export function buildPrograms() {
  const lines = [
    "from gradio_client import Client, handle_file",
    "",
    `client = Client("${serverUrl("")}")`,
    'picture = handle_file("photo.png")',
    'path = client.predict(picture, "lit-light", 4.0, api_name="/upscale")  # a PNG file',
    'seen = client.predict(picture, row=10, column=20, model="clit-light", scale=8.0, api_name="/attention")',
    'seen["stages"][0]["weights"]  # heads x 7 x 7',
    'found, figure, file = client.predict(picture, row=10, column=20, scale=8.0, api_name="/attribution")',
    'found["diffusion"]  # the map of the input pixels is in the file',
  ];
  $(".snippet").textContent = lines.join("\n");
  $(".assistants").hidden = !(/** @type {any} */ (window).gradio_config?.mcp_server);
  $(".assistants code").textContent = serverUrl("gradio_api/mcp/");
}
