// Runs a WebPPL program once and prints, as JSON, the processor seconds that inference took (not
// loading and compiling), those of the whole process, and the mean of the results. Arguments: the
// package, the program, options of Infer.
'use strict'

const fs = require('fs')
const path = require('path')

const [, , home, file, options] = process.argv
const webppl = require(path.join(home, 'src', 'main.js'))
const util = require(path.join(home, 'src', 'util.js'))

util.seedRNG(1)
const code = fs.readFileSync(file, 'utf8') +
  `\nexpectation(Infer(extend(${options}, {model: model})), function(x) { return x * 1 })\n`
const main = eval.call(global, webppl.compile(code, {debug: false}).code)
const processor = (since) => {
  const used = process.cpuUsage(since)
  return (used.user + used.system) / 1e6
}
const start = process.cpuUsage()
webppl.runEvaled(main, util.trampolineRunners.cli(), {value: undefined}, {}, (s, mean) => {
  console.log(JSON.stringify({seconds: processor(start), whole: processor(), mean}))
}, '')
