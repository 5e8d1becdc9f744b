// node server.js PORT FILE: the API's three routes over records that are held in memory.
// FILE is JSON: { "stats": [...], "results": [...] }, as the API answers them, results newest first.
const express = require("express");
const { readFileSync } = require("node:fs");

const [port, file] = process.argv.slice(2);
const { stats, results } = JSON.parse(readFileSync(file, "utf8"));
const byId = new Map(results.map((result) => [result.uniqueId, result]));

const app = express();

app.get("/api/cluster-stats", (request, response) => response.json(stats));

app.get("/api/clustering-results/:uniqueId", (request, response) => {
  const result = byId.get(request.params.uniqueId);
  if (!result) return response.status(404).json({ title: "Not Found" });
  return response.json(result);
});

app.get("/api/clustering-results", (request, response) => {
  const limit = Math.min(Number(request.query.limit ?? 100), 10000);
  const start = Number(request.query.cursor ?? 0);
  if (start + limit < results.length) {
    response.set("Link", `</api/clustering-results?limit=${limit}&cursor=${start + limit}>; rel="next"`);
  }
  return response.json(results.slice(start, start + limit));
});

app.listen(Number(port), "127.0.0.1");
