// wechat4u. After the login it opens a chat, which the demo does not have. After a failure it reports
// the reason and stops.
import { demo, report } from './reroute.mjs'
import Wechat4u from 'wechat4u'

class Bot extends Wechat4u {
  async init () { // opens the chat
    const known = ['skey', 'sid', 'uin', 'passTicket'].every(name => this.PROP[name])
    const { data } = await this.request({ url: `${demo.origin}/demo/me` })
    report('in', { who: known && data.name })
    process.exit()
  }
}

const bot = new Bot()
bot.on('uuid', uuid => report('shows', { text: uuid }))
bot.on('user-avatar', () => report('scanned'))
bot.on('error', error => report('stopped', { why: error.tips }))
bot.start()
